use clap::Parser as _;
use meltemi_names::Protocol;

use super::*;

#[derive(Debug, clap::Parser)]
#[command(disable_version_flag = true)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn read(flags: &[&str]) -> Result<ProxyOptions, Failure> {
    let line = Line::try_parse_from(["run", "--state-dir", "/none"].iter().chain(flags))
        .map_err(|error| Failure::Usage(error.to_string()))?;
    line.args.read("curl").map(|(options, _)| options)
}

#[test]
fn without_flags_the_ports_are_the_known_ones_if_they_are_free() {
    let options = read(&["--service", "hello", "--port", "8001/http", "--port", "9000"]).unwrap();
    let preferred = |port| Listen::Preferably(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
    assert_eq!(options.listen.outbound, preferred(15001));
    assert_eq!(options.listen.inbound, preferred(15006));
    assert_eq!(options.listen.health, preferred(15021));
    let workload = options.workload;
    assert!(workload.name.starts_with("hello-") && options.ephemeral, "{}", workload.name);
    assert_eq!((&*workload.namespace, &*workload.service_account), ("default", "default"));
    assert_eq!(workload.ports[0], AppPort { number: 8001, protocol: Protocol::Http });
    assert_eq!(workload.ports[1].protocol, Protocol::Auto);
}

#[test]
fn what_is_given_is_taken_as_it_is() {
    let flags = "--name web-1 --version v2 --label tier=front --outbound :0 --address 10.0.0.7 \
                 --upstream hello:8001=:19001 --workers 3 --access-log json -n shop";
    let options = read(&flags.split_whitespace().collect::<Vec<_>>()).unwrap();
    assert!(!options.ephemeral && options.choices.workers == NonZeroUsize::new(3));
    assert_eq!(options.choices.access_log, Some(start::AccessLog::Json));
    // What is not given is the mesh's to say.
    assert_eq!(options.choices.drain_timeout, None);
    assert_eq!(options.listen.outbound, Listen::Exactly("127.0.0.1:0".parse().unwrap()));
    // Peers on other machines come in on the address that they are told.
    let inbound = Listen::Preferably("10.0.0.7:15006".parse().unwrap());
    assert_eq!(options.listen.inbound, inbound);
    let labels: Vec<_> = options.workload.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(labels, ["tier=front", "version=v2"]);
    assert_eq!(options.upstreams[0].host, "hello");
    let options = read(&["--group", "web", "--port", "80"]).unwrap();
    assert!(options.workload.name.starts_with("web-"), "{}", options.workload.name);
    assert!(options.workload.address_is_default && !options.allow_exec_probes);
    let options = read(&["--inbound", "10.0.0.8:15006", "--allow-exec-probes"]).unwrap();
    assert!(!options.workload.address_is_default && options.allow_exec_probes);
    assert_eq!(options.workload.address.to_string(), "10.0.0.8");
    assert!(options.workload.name.starts_with("curl-"));
}

#[test]
fn wrong_usage_says_what_to_write() {
    for (flags, part) in [
        ("--port 8001", "add --service NAME"),
        ("--service a --port 0", "1 to 65535"),
        ("--service a --port 1 --port 1/http", "--port 1 is given twice"),
        ("--service A_b", "lower-case"),
        ("--group A/b", "--group"),
        ("--name a/b", "--name"),
        ("-n A", "--namespace"),
        ("--service-account A", "--service-account"),
        ("--address 0.0.0.0", "--address 0.0.0.0"),
        ("--label x", "KEY=VALUE"),
        ("--upstream hello", "hello:8001=127.0.0.1:19001"),
        ("--control http://mesh:15012", "https://HOST:PORT"),
        ("--control https://mesh:15012", "--trust-bundle FILE"),
        ("--certificate-life 4m", "from 5m to 720h"),
        ("--certificate-life 721h", "from 5m to 720h"),
        ("--spiffe-endpoint-socket tcp://127.0.0.1:1", "unix:///run/spire/agent.sock"),
    ] {
        match read(&flags.split_whitespace().collect::<Vec<_>>()) {
            Err(Failure::Usage(message)) => assert!(message.contains(part), "{flags}: {message}"),
            other => panic!("{flags}: {other:?}"),
        }
    }
}

#[test]
fn files_that_are_named_must_be_there() {
    for (flags, part) in [
        ("--token-file /none/token", "--token-file /none/token"),
        ("--trust-bundle /none/roots", "/none/roots"),
        ("--ready-file /none/ready.json", "--ready-file /none/ready.json"),
    ] {
        match read(&flags.split_whitespace().collect::<Vec<_>>()) {
            Err(Failure::Failed(message)) => assert!(message.contains(part), "{flags}: {message}"),
            other => panic!("{flags}: {other:?}"),
        }
    }
}
