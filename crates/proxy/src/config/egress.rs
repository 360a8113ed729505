//! Listeners of their own for what goes out, as a Sidecar resource has them: where they are, and which hosts they carry.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use meltemi_names::Protocol;
use meltemi_wire::proto::meltemi::v1;

/// A listener for the application.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EgressListener {
    /// Where it is.
    pub bind: Arc<Bind>,
    /// The port of the services that it carries; `None` for all of theirs.
    pub port: Option<u16>,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// The hosts that it carries, `NAMESPACE/HOST` with `*` for all of either.
    pub hosts: Vec<String>,
}

/// Where a listener is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Bind {
    /// At this address.
    Address(SocketAddr),
    /// At this Unix socket; a NUL before it stands for Linux' abstract names.
    Unix(PathBuf),
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bind::Address(address) => address.fmt(f),
            Bind::Unix(path) => f.write_str(&unix_url(path)),
        }
    }
}

impl EgressListener {
    /// Reads a listener; one at an address that is none is told of and left out.
    pub(super) fn read(message: &v1::EgressListener) -> Option<EgressListener> {
        let bind = match unix_path(&message.bind) {
            Some(path) => Some(Bind::Unix(path)),
            None => message.bind.parse().ok().map(Bind::Address),
        };
        if bind.is_none() {
            tracing::warn!(bind = message.bind, "an egress listener is at no address");
        }
        Some(EgressListener {
            bind: bind?.into(),
            port: u16::try_from(message.port).ok().filter(|port| *port > 0),
            protocol: v1::Protocol::try_from(message.protocol).map(Into::into).unwrap_or_default(),
            hosts: message.hosts.clone(),
        })
    }

    /// Whether it carries a host of a namespace.
    pub(crate) fn carries(&self, namespace: &str, host: &str) -> bool {
        named(&self.hosts, namespace, [host])
    }

    /// The hosts that it names without a wildcard, in order.
    pub(crate) fn exact_hosts(&self) -> impl Iterator<Item = &str> {
        let hosts = self.hosts.iter().filter_map(|it| it.split_once('/'));
        hosts.filter(|(_, host)| !host.starts_with('*')).map(|(_, host)| host)
    }
}

/// Whether one of these hosts of a namespace is among patterns `NAMESPACE/HOST`, with `*` for all of either. A host with a
/// wildcard is where anything below it is.
pub(super) fn named<'h>(
    patterns: &[String],
    namespace: &str,
    hosts: impl IntoIterator<Item = &'h str> + Clone,
) -> bool {
    let covers = |pattern: &str, host: &str| match pattern.strip_prefix('*') {
        Some(end) => host.ends_with(end),
        None => pattern == host || host.strip_prefix('*').is_some_and(|it| pattern.ends_with(it)),
    };
    patterns.iter().filter_map(|it| it.split_once('/')).any(|(of, pattern)| {
        (of == "*" || of == namespace)
            && hosts.clone().into_iter().any(|host| covers(pattern, host))
    })
}

/// The path of a `unix://PATH`; of a name after `@`, Linux' abstract one.
pub(super) fn unix_path(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("unix://")?;
    Some(match path.strip_prefix('@') {
        Some(name) => format!("\0{name}").into(),
        None => path.into(),
    })
}

/// The `unix://PATH` of a path.
pub(super) fn unix_url(path: &Path) -> String {
    format!("unix://{}", path.to_string_lossy().replacen('\0', "@", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bind: &str, hosts: &[&str]) -> Option<EgressListener> {
        EgressListener::read(&v1::EgressListener {
            bind: bind.into(),
            port: 80,
            hosts: hosts.iter().map(ToString::to_string).collect(),
            ..v1::EgressListener::default()
        })
    }

    #[test]
    fn a_listener_is_at_an_address_or_a_socket() {
        for bind in ["127.0.0.1:80", "[::1]:80", "unix:///run/a", "unix://@a"] {
            assert_eq!(read(bind, &[]).unwrap().bind.to_string(), bind);
        }
        assert!(read("nowhere", &[]).is_none());
    }

    #[test]
    fn it_carries_the_hosts_that_it_names() {
        let listener = read("[::1]:80", &["a/web.a.svc.cluster.local", "*/*.example.com"]).unwrap();
        for (namespace, host, expected) in [
            ("a", "web.a.svc.cluster.local", true),
            ("b", "web.a.svc.cluster.local", false),
            ("a", "other.a.svc.cluster.local", false),
            ("b", "api.example.com", true),
        ] {
            assert_eq!(listener.carries(namespace, host), expected, "{namespace} {host}");
        }
        assert_eq!(listener.exact_hosts().collect::<Vec<_>>(), ["web.a.svc.cluster.local"]);
    }
}
