//! `meltemi control`: a control plane in the foreground.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use meltemi_api::MeshConfig;
use meltemi_control::{
    Addresses, AuditChoice, Bound, ControlPlane, JwksAllow, Options, StoreChoice, parse_address,
    parse_optional_address,
};
use meltemi_names::{DEFAULT_DOMAIN_SUFFIX, DEFAULT_TRUST_DOMAIN, TrustDomain, is_dns_subdomain};
use meltemi_policy::path::Normalization;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::demo::duration;
use crate::exit::Failure;
use crate::{output, state};

const EXAMPLE: &str = "\
Example:
  meltemi control
  # then, in another terminal
  meltemi run --service hello --port 8001 -- python3 -m http.server 8001

For workloads on other machines, with a folder of YAML as the configuration:
  meltemi control --secure-xds 0.0.0.0:15012 --store dir:/srv/mesh

For workloads with certificates of SPIRE's (`spire-server bundle show > spire.pem`):
  meltemi control --trust-domain example.org --trust-root spire.pem";

/// Run the control plane in the foreground: API, discovery, certificates, DNS.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(flatten)]
    state: state::Args,
    /// Where resources are kept: embedded, memory or dir:PATH
    #[arg(long, env = "MELTEMI_STORE", default_value = "embedded", value_name = "STORE")]
    store: StoreChoice,
    /// Address of the API; port 0 picks a free one, here and below
    #[arg(long, env = "MELTEMI_API", default_value = "127.0.0.1:15080", value_parser = parse_address, value_name = "ADDR")]
    api: SocketAddr,
    /// Address of discovery in plaintext, or off
    #[arg(long, env = "MELTEMI_XDS", default_value = "127.0.0.1:15010", value_parser = parse_optional, value_name = "ADDR")]
    xds: Optional,
    /// Address of discovery, registration and certificates over TLS
    #[arg(long, env = "MELTEMI_SECURE_XDS", default_value = "127.0.0.1:15012", value_parser = parse_address, value_name = "ADDR")]
    secure_xds: SocketAddr,
    /// Address of the name server, or off
    #[arg(long, env = "MELTEMI_DNS", default_value = "127.0.0.1:15053", value_parser = parse_optional, value_name = "ADDR")]
    dns: Optional,
    /// Address of metrics and health, or off
    #[arg(long, env = "MELTEMI_MONITORING", default_value = "127.0.0.1:15014", value_parser = parse_optional, value_name = "ADDR")]
    monitoring: Optional,
    /// Trust domain of the mesh's identities
    #[arg(long, env = "MELTEMI_TRUST_DOMAIN", default_value = DEFAULT_TRUST_DOMAIN, value_name = "DOMAIN")]
    trust_domain: TrustDomain,
    /// DNS suffix of the mesh's services
    #[arg(long, env = "MELTEMI_DOMAIN_SUFFIX", default_value = DEFAULT_DOMAIN_SUFFIX, value_parser = parse_suffix, value_name = "SUFFIX")]
    domain_suffix: String,
    /// Resolver that is asked for names outside of the mesh, instead of this machine's; may be repeated
    #[arg(long, value_name = "IP:PORT")]
    dns_upstream: Vec<SocketAddr>,
    /// Directory with ca-cert.pem, ca-key.pem, root-cert.pem and cert-chain.pem, to sign with an existing CA
    #[arg(long, env = "MELTEMI_CACERTS", value_name = "DIR")]
    cacerts: Option<PathBuf>,
    /// File with root certificates, PEM, that the mesh believes beside its CA's, for any identity of the trust domain: SPIRE's.
    /// Read anew when it changes; may be repeated
    #[arg(long, value_name = "FILE")]
    trust_root: Vec<PathBuf>,
    /// A name, besides the loopback ones, under which the API may be asked; may be repeated
    #[arg(long, value_name = "HOST")]
    api_name: Vec<String>,
    /// File to which changes and uses of tokens are appended, or off; audit.log in the state directory if left out
    #[arg(
        long,
        env = "MELTEMI_AUDIT_LOG",
        default_value = "",
        hide_default_value = true,
        value_name = "FILE"
    )]
    audit_log: AuditChoice,
    /// How paths are normalised before requests are routed and authorized: NONE, BASE, MERGE_SLASHES or DECODE_AND_MERGE_SLASHES
    #[arg(
        long,
        env = "MELTEMI_PATH_NORMALIZATION",
        default_value = "MERGE_SLASHES",
        value_name = "LEVEL"
    )]
    path_normalization: Normalization,
    /// File with settings of the mesh in the words of Istio's MeshConfig, YAML: extensionProviders, trustDomainAliases, caCertificates, defaultConfig.gatewayTopology
    #[arg(long, env = "MELTEMI_MESH_CONFIG", value_name = "FILE")]
    mesh_config: Option<PathBuf>,
    /// Let every user of this machine use the API without its token (for development)
    #[arg(long)]
    insecure_loopback: bool,
    /// Let the API and discovery speak plaintext where other machines can reach them
    #[arg(long)]
    insecure_network: bool,
    /// A host or block of addresses that may be asked for the keys of tokens though it is not public; may be repeated
    #[arg(long, value_name = "HOST|CIDR")]
    jwks_allow: Vec<JwksAllow>,
    /// How long fetched keys of tokens are used before they are fetched again
    #[arg(long, env = "MELTEMI_JWKS_REFRESH", default_value = "20m", value_parser = duration, value_name = "TIME")]
    jwks_refresh: Duration,
    /// How often proxies report what became of their calls
    #[arg(long, env = "MELTEMI_REPORT_INTERVAL", default_value = "1s", value_parser = duration, value_name = "TIME")]
    report_interval: Duration,
    /// What to print when it is ready: text for people, or one line of JSON
    #[arg(long, short = 'o', value_enum, default_value = "text")]
    output: Form,
}

/// An address that can be left out. A type of its own, as clap takes a bare `Option` for a flag that may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Optional(Option<SocketAddr>);

fn parse_optional(text: &str) -> Result<Optional, String> {
    parse_optional_address(text).map(Optional)
}

fn parse_suffix(text: &str) -> Result<String, String> {
    match is_dns_subdomain(text) {
        true => Ok(text.to_owned()),
        false => Err("it is no DNS name: parts of at most 63 lower-case letters, digits and `-`, with a dot between two".to_owned()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Text,
    Json,
}

/// Runs the command, until it is told to stop by SIGTERM or SIGINT.
pub async fn run(args: Args) -> Result<(), Failure> {
    let state_dir = args.state.path()?;
    let (form, is_named) = (args.output, args.state.is_named());
    let mut stop = Stop::listen()?;
    let mesh_config = args.mesh_config.as_deref().map(read_mesh_config).transpose()?;
    let options =
        Options { mesh_config: mesh_config.unwrap_or_default(), ..args.options(state_dir.clone()) };
    let mut plane = tokio::select! {
        started = ControlPlane::start(options) => started.map_err(|it| Failure::Failed(it.to_string()))?,
        () = stop.asked() => return Ok(()),
    };
    let greeting = match form {
        Form::Json => json_line(plane.addresses()),
        Form::Text => greeting(plane.addresses(), is_named.then_some(&state_dir)),
    };
    // Whoever started it and does not read its output wants it to run all the same.
    let _ = output::print(&greeting);
    let failed = tokio::select! {
        () = stop.asked() => None,
        failed = plane.failed() => Some(failed),
    };
    tokio::select! {
        () = plane.stop() => {}
        () = stop.asked() => tracing::warn!("asked to stop twice: not waiting any longer"),
    }
    match failed {
        Some(error) => Err(Failure::Failed(error.to_string())),
        None => Ok(()),
    }
}

/// Reads the mesh's own settings.
fn read_mesh_config(path: &Path) -> Result<MeshConfig, Failure> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Failed(format!("--mesh-config {file}: {error}")))?;
    MeshConfig::parse(&file, &text).map_err(|findings| {
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        Failure::Failed(lines.join("\n"))
    })
}

impl Args {
    fn options(self, state_dir: PathBuf) -> Options {
        Options {
            state_dir,
            store: self.store,
            addresses: Addresses {
                api: self.api,
                xds: self.xds.0,
                secure_xds: self.secure_xds,
                dns: self.dns.0,
                monitoring: self.monitoring.0,
            },
            trust_domain: self.trust_domain,
            domain_suffix: self.domain_suffix,
            dns_upstreams: self.dns_upstream,
            cacerts: self.cacerts,
            trust_roots: self.trust_root,
            api_names: self.api_name,
            audit_log: self.audit_log,
            path_normalization: self.path_normalization,
            mesh_config: MeshConfig::default(),
            insecure_loopback: self.insecure_loopback,
            insecure_network: self.insecure_network,
            jwks_allow: self.jwks_allow,
            jwks_refresh: self.jwks_refresh,
            report_every: self.report_interval,
        }
    }
}

/// The signals that ask for a stop.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen() -> Result<Self, Failure> {
        let on = |kind| {
            signal(kind)
                .map_err(|error| Failure::Failed(format!("signals cannot be received: {error}")))
        };
        Ok(Stop {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn json_line(bound: &Bound) -> String {
    // Addresses are text: nothing in it can fail.
    serde_json::to_string(bound).map(|line| line + "\n").unwrap_or_default()
}

fn greeting(bound: &Bound, state_dir: Option<&PathBuf>) -> String {
    let text = |address: Option<SocketAddr>| match address {
        Some(address) => address.to_string(),
        None => "off".to_owned(),
    };
    let metrics = match bound.monitoring {
        Some(address) => format!("http://{address}/metrics"),
        None => "off".to_owned(),
    };
    let flag = state_dir.map(|dir| format!(" --state-dir {}", quoted(dir))).unwrap_or_default();
    format!(
        "The control plane is ready.\n\
         \n\
         \x20 API         http://{}\n\
         \x20 discovery   {} over TLS, plaintext {}\n\
         \x20 DNS         {}\n\
         \x20 metrics     {metrics}\n\
         \n\
         Next, in another terminal:\n\
         \n\
         \x20 meltemi run{flag} --service hello --port 8001 -- python3 -m http.server 8001\n",
        bound.api,
        bound.secure_xds,
        text(bound.xds),
        text(bound.dns),
    )
}

/// A path as a shell reads it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "/._-+=:@%".contains(it);
    match text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn read(flags: &[&str]) -> Result<Options, String> {
        let line = Line::try_parse_from(["control"].iter().chain(flags));
        line.map(|line| line.args.options("/state".into())).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_become_options() {
        let options = read(&[]).unwrap();
        assert_eq!(options.addresses, Addresses::default());
        assert_eq!(options.store, StoreChoice::Embedded);
        let options =
            read(&["--xds", "off", "--dns", ":0", "--api", "localhost:1", "--store", "dir:/x"])
                .unwrap();
        assert_eq!(options.addresses.xds, None);
        assert_eq!(options.addresses.dns, "127.0.0.1:0".parse().ok());
        assert_eq!(options.addresses.api, "127.0.0.1:1".parse().unwrap());
        assert_eq!(options.store, StoreChoice::Directory("/x".into()));
        for (flags, part) in [
            (["--store", "etcd:http://127.0.0.1:2379"], "not in this build"),
            (["--api", "off"], "expected IP:PORT"),
            (["--trust-domain", "A B"], "trust domain"),
        ] {
            let message = read(&flags).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn the_greeting_names_addresses_and_the_next_step() {
        let address = "127.0.0.1:1".parse().unwrap();
        let bound = Bound {
            api: address,
            xds: None,
            secure_xds: address,
            dns: Some(address),
            monitoring: None,
        };
        let text = greeting(&bound, Some(&"/tmp/it's".into()));
        assert!(text.contains("http://127.0.0.1:1\n") && text.contains("plaintext off"), "{text}");
        assert!(text.contains(r"meltemi run --state-dir '/tmp/it'\''s' --service"), "{text}");
        let line = json_line(&bound);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&value["api"], &value["xds"]),
            (&"127.0.0.1:1".into(), &serde_json::Value::Null)
        );
        assert_eq!(line.matches('\n').count(), 1);
    }
}
