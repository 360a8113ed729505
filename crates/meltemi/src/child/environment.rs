//! What a command finds in its environment: the way into the mesh, and what it is called there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use meltemi_proxy::start::Addresses;

/// What must not go through the mesh: the application's own machine.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The variables that a command is given besides those of `run`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    variables: Vec<(&'static str, String)>,
}

impl Environment {
    /// The variables for a workload (`NAMESPACE/NAME`). The names begin with `MELTEMI_SIDECAR_`, because `MELTEMI_OUTBOUND`
    /// and the like are flags of `run`, which a command that is itself a `meltemi run` would take for its own.
    pub fn new(workload: &str, addresses: &Addresses) -> Self {
        Self::with(workload, addresses, |name| std::env::var(name).ok())
    }

    fn with(
        workload: &str,
        addresses: &Addresses,
        inherited: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let proxy = format!("http://{}", reachable(addresses.outbound));
        let own = |name: &str, other: &str| inherited(name).or_else(|| inherited(other));
        let variables = vec![
            ("HTTP_PROXY", proxy.clone()),
            ("http_proxy", proxy),
            ("NO_PROXY", without_proxy(own("NO_PROXY", "no_proxy"))),
            ("no_proxy", without_proxy(own("no_proxy", "NO_PROXY"))),
            ("MELTEMI_SIDECAR_WORKLOAD", workload.to_owned()),
            ("MELTEMI_SIDECAR_OUTBOUND", addresses.outbound.to_string()),
            ("MELTEMI_SIDECAR_INBOUND", addresses.inbound.to_string()),
            ("MELTEMI_SIDECAR_ADMIN", addresses.admin.to_string()),
            ("MELTEMI_SIDECAR_METRICS", addresses.metrics.to_string()),
            ("MELTEMI_SIDECAR_HEALTH", addresses.health.to_string()),
        ];
        Environment { variables }
    }

    /// Name and value of each.
    pub fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.variables.iter().map(|(name, value)| (*name, value.as_str()))
    }
}

/// An address to connect to, also where the listener takes every address.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

fn without_proxy(given: Option<String>) -> String {
    let mut list = given.unwrap_or_default();
    for name in LOCAL {
        if list.trim() == "*" || list.split(',').any(|it| it.trim() == name) {
            continue;
        }
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(name);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_led_through_the_mesh_but_for_its_own_machine() {
        let address = |text: &str| text.parse().unwrap();
        let addresses = Addresses {
            outbound: address("0.0.0.0:1"),
            inbound: address("127.0.0.1:2"),
            admin: address("127.0.0.1:3"),
            metrics: address("127.0.0.1:4"),
            health: address("127.0.0.1:5"),
            upstreams: Vec::new(),
        };
        let inherited = |name: &str| (name == "no_proxy").then(|| "a.b, localhost".to_owned());
        let environment = Environment::with("default/x", &addresses, inherited);
        let found = |name: &str| environment.variables().find(|it| it.0 == name).map(|it| it.1);
        assert_eq!(found("http_proxy"), Some("http://127.0.0.1:1"));
        assert_eq!(found("HTTP_PROXY"), found("http_proxy"));
        assert_eq!(found("NO_PROXY"), Some("a.b, localhost,127.0.0.1,::1"));
        assert_eq!(found("MELTEMI_SIDECAR_WORKLOAD"), Some("default/x"));
        assert_eq!(without_proxy(Some("*".into())), "*");
        assert_eq!(without_proxy(None), "localhost,127.0.0.1,::1");
    }
}
