//! Readers of single flags, and the workload that they describe.

use std::time::Duration;

use meltemi_control::parse_address;
use meltemi_identity::ca::{MAX_TTL, MIN_TTL};
use meltemi_names::{Host, Protocol, is_dns_label, is_dns_subdomain, is_peer_address};
use meltemi_proxy::start::{AppPort, Upstream, WorkloadOptions, time};

use crate::exit::Failure;

/// The letters of random names: Kubernetes' own choice, without those that are mistaken for others or make words.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// How many letters of a random name tell the workloads of a service apart.
const SUFFIX: usize = 5;
/// The longest name of a workload that a random suffix is added to, as Kubernetes' pods have it.
const MAX_STEM: usize = 57;

/// The life of a certificate: what the CA gives.
pub(super) fn certificate_life(text: &str) -> Result<Duration, String> {
    let life = time(text)?;
    match (MIN_TTL..=MAX_TTL).contains(&life) {
        true => Ok(life),
        false => Err("certificates live from 5m to 720h (30 days), as in 1h".into()),
    }
}

/// `PORT[/PROTOCOL]`.
pub(super) fn port(text: &str) -> Result<AppPort, String> {
    let (number, word) = match text.split_once('/') {
        Some((number, word)) => (number, Some(word)),
        None => (text, None),
    };
    let number = match number.parse() {
        Ok(0) | Err(_) => {
            return Err(format!(
                "`{number}` is not a port: expected 1 to 65535, as in 8001 or 8001/http"
            ));
        }
        Ok(number) => number,
    };
    let protocol = match word {
        None => Protocol::Auto,
        Some(word) => match Protocol::parse(word) {
            Some(Protocol::Udp) => {
                return Err("UDP is not carried by the mesh: leave this port out".into());
            }
            Some(protocol) => protocol,
            None => {
                return Err(format!(
                    "`{word}` is not a protocol: http, http2, grpc, grpc-web, https, tls or tcp; without one it is detected"
                ));
            }
        },
    };
    Ok(AppPort { number, protocol })
}

/// `K=V`.
pub(super) fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err(format!("`{text}` is not a label: expected KEY=VALUE, as in tier=front")),
    }
}

/// `HOST:PORT=LISTEN`.
pub(super) fn upstream(text: &str) -> Result<Upstream, String> {
    let wrong = || {
        format!(
            "`{text}` is not an upstream: expected HOST:PORT=LISTEN, as in hello:8001=127.0.0.1:19001"
        )
    };
    let (service, listen) = text.split_once('=').ok_or_else(wrong)?;
    let (host, port) = service.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
    let host: Host = host.parse().map_err(|error| format!("{error}"))?;
    if host.is_wildcard() {
        return Err(wrong());
    }
    let listen = parse_address(listen)?;
    Ok(Upstream { host: host.as_str().into(), port, listen })
}

/// Checks the workload's words, and names one that has no name.
pub(super) fn workload(
    mut workload: WorkloadOptions,
    version: Option<String>,
    program: &str,
) -> Result<WorkloadOptions, Failure> {
    if let Some(service) = workload.service.as_deref().filter(|it| !is_dns_label(it)) {
        return Err(Failure::Usage(format!(
            "--service `{service}` is no name of a service: lower-case letters, digits and `-`, at most 63"
        )));
    }
    let group = &workload.group.clone().unwrap_or_default();
    for (flag, value, is_name) in [
        ("--group", group, group.is_empty() || is_dns_subdomain(group)),
        ("--namespace", &workload.namespace, is_dns_label(&workload.namespace)),
        (
            "--service-account",
            &workload.service_account,
            is_dns_subdomain(&workload.service_account),
        ),
        ("--name", &workload.name, workload.name.is_empty() || is_dns_subdomain(&workload.name)),
    ] {
        if !is_name {
            return Err(Failure::Usage(format!(
                "{flag} `{value}` is no name: at most 63 lower-case letters, digits and `-`, with a letter or digit at both ends"
            )));
        }
    }
    if !is_peer_address(workload.address) {
        return Err(Failure::Usage(format!(
            "--address {} is not an address that others can connect to: name the one of this machine",
            workload.address
        )));
    }
    let mut numbers: Vec<u16> = workload.ports.iter().map(|port| port.number).collect();
    numbers.sort_unstable();
    if let Some(twice) = numbers.windows(2).find(|two| two[0] == two[1]) {
        return Err(Failure::Usage(format!("--port {} is given twice", twice[0])));
    }
    if let Some(version) = version {
        workload.labels.insert("version".into(), version);
    }
    if workload.name.is_empty() {
        let stem = workload.service.as_deref().or(workload.group.as_deref()).unwrap_or(program);
        workload.name = fresh_name(stem);
    }
    Ok(workload)
}

/// `STEM-XXXXX`, where what cannot stand in a name is left out of the stem.
fn fresh_name(stem: &str) -> String {
    let folded = stem.to_ascii_lowercase();
    let kept = folded.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '-' });
    let kept: String = kept.take(MAX_STEM).collect();
    let stem = match kept.trim_matches('-') {
        "" => "workload",
        stem => stem,
    };
    // Hash maps are keyed at random; that is enough for names that are to differ, not to be secret.
    let mut number =
        std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
    let letters = (0..SUFFIX).map(|_| {
        let letter = LETTERS[(number % LETTERS.len() as u64) as usize];
        number /= LETTERS.len() as u64;
        char::from(letter)
    });
    format!("{stem}-{}", letters.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_or_refused_with_what_to_write_instead() {
        let http = AppPort { number: 8001, protocol: Protocol::Http };
        assert_eq!(port("8001/http"), Ok(http));
        assert_eq!(port("8001"), Ok(AppPort { protocol: Protocol::Auto, ..http }));
        for (text, part) in [
            ("0", "1 to 65535"),
            ("70000", "1 to 65535"),
            ("x", "8001/http"),
            ("1/htpp", "grpc"),
            ("53/udp", "not carried"),
        ] {
            assert!(port(text).unwrap_err().contains(part), "{text}");
        }
        let hello = upstream("Hello:8001=:19001").unwrap();
        assert_eq!((&*hello.host, hello.port), ("hello", 8001));
        assert_eq!(hello.listen, "127.0.0.1:19001".parse().unwrap());
        for text in ["hello", "hello=127.0.0.1:1", "hello:0=:1", "*.x:1=:1", "hello:1=x"] {
            assert!(upstream(text).is_err(), "{text}");
        }
        assert_eq!(label("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(label("=b").is_err() && label("a").is_err());
    }

    #[test]
    fn a_fresh_name_is_a_name_and_of_this_run_only() {
        for (stem, start) in [
            ("hello", "hello-"),
            ("/", "workload-"),
            ("My_App.py", "my-app-py-"),
            (&"x".repeat(200), "xxx"),
        ] {
            let name = fresh_name(stem);
            assert!(name.starts_with(start) && is_dns_label(&name), "{name}");
        }
        assert_ne!(fresh_name("a"), fresh_name("a"));
    }
}
