//! What arrives for our own workload: which service ports lead to which of the application's ports.

use std::collections::BTreeMap;
use std::sync::Arc;

use meltemi_names::Protocol;
use meltemi_policy::path::Normalization;
use meltemi_policy::peer::Mode;

use super::{App, At, Authentications, Authorization, Bind, Termination};

/// The services that our workload stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inbound {
    /// The service ports that lead here.
    pub ports: Vec<InboundPort>,
    /// Whose tokens our workload takes.
    pub authentication: Authentications,
    /// Who may do what with it.
    pub authorization: Authorization,
    /// How paths of requests are brought into one form.
    pub normalization: Normalization,
    /// So many proxies before us are trusted to say in `x-forwarded-for` who the client is.
    pub num_trusted_proxies: u32,
    /// How connections begin.
    pub gate: Gate,
    /// Addresses of their own at which ports are reached.
    pub listeners: Vec<InboundListener>,
}

/// An address of its own for what comes in, as a Sidecar resource has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundListener {
    /// Where it is.
    pub bind: Arc<Bind>,
    /// Its number, by which [`InboundPort::listener`] means it.
    pub number: u16,
}

/// How connections that come in may begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Gate {
    /// With mutual TLS: no port takes anything else.
    #[default]
    MutualTls,
    /// With mutual TLS or without, as the first bytes show.
    Either,
    /// With the caller's own bytes: no port takes mutual TLS.
    Plaintext,
}

impl Gate {
    /// For these ports.
    pub(super) fn of(ports: &[InboundPort]) -> Gate {
        match ports {
            ports if ports.iter().all(|port| port.mode == Mode::Strict) => Gate::MutualTls,
            ports if ports.iter().all(|port| port.mode == Mode::Disable) => Gate::Plaintext,
            _ => Gate::Either,
        }
    }
}

/// A service port that leads to our workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundPort {
    /// The service's host.
    pub host: Arc<str>,
    /// The service's name within its namespace.
    pub service_name: Arc<str>,
    /// The service's namespace.
    pub service_namespace: Arc<str>,
    /// The port that callers use.
    pub service_port: u16,
    /// The application's port.
    pub target_port: u16,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Whether callers are asked for mutual TLS.
    pub mode: Mode,
    /// Whether that is what a listener of a Sidecar resource says, whatever callers believe.
    pub is_declared: bool,
    /// The number of the Sidecar resource's listener for it, if there is one.
    pub listener: Option<u16>,
    /// The TLS that callers outside of the mesh speak, if they do.
    pub tls: Option<Arc<Termination>>,
    /// Who takes what comes for it.
    pub app: Arc<App>,
}

impl InboundPort {
    /// Istio's name of Envoy's cluster for it.
    pub(crate) fn cluster(&self) -> String {
        format!("inbound|{}||", self.target_port)
    }
}

impl Inbound {
    /// The port that a caller means who names the service and its port.
    pub fn find(&self, host: &str, service_port: u16) -> Option<&InboundPort> {
        self.ports.iter().find(|port| port.service_port == service_port && *port.host == *host)
    }

    /// Where the application takes what comes for one of its ports.
    pub fn place(&self, port: u16) -> At {
        self.by_target(port).map_or(At::Loopback(port), |it| it.app.place.at.clone())
    }

    /// What goes on of what was before: connections, and what counts against limits.
    pub(super) fn follow(&mut self, before: &Inbound) {
        let mut apps: BTreeMap<u16, Arc<App>> = BTreeMap::new();
        for port in &mut self.ports {
            let app = apps.entry(port.target_port).or_insert_with(|| {
                let before = before.by_target(port.target_port);
                before.map_or_else(|| port.app.clone(), |before| port.app.after(&before.app))
            });
            port.app = app.clone();
            // What was made of its files stays.
            let terminations = before.ports.iter().filter_map(|it| it.tls.as_ref());
            if let Some(same) = terminations.into_iter().find(|it| Some(*it) == port.tls.as_ref()) {
                port.tls = Some(same.clone());
            }
        }
    }

    /// The port that a listener of the Sidecar resource is for.
    pub fn of_listener(&self, number: u16) -> Option<&InboundPort> {
        self.ports.iter().find(|port| port.listener == Some(number))
    }

    /// The first service port that leads to a port of the application.
    pub fn by_target(&self, port: u16) -> Option<&InboundPort> {
        self.ports.iter().find(|it| it.target_port == port)
    }

    /// The only choice there is, where all service ports lead to one port of the application.
    pub fn only_target(&self) -> Option<&InboundPort> {
        let first = self.ports.first()?;
        self.ports.iter().all(|it| it.target_port == first.target_port).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(host: &str, service_port: u16, target_port: u16) -> InboundPort {
        InboundPort {
            host: host.into(),
            service_name: host.into(),
            service_namespace: "default".into(),
            service_port,
            target_port,
            protocol: Protocol::Http,
            mode: Mode::Strict,
            is_declared: false,
            listener: None,
            tls: None,
            app: App::at(target_port),
        }
    }

    fn inbound(ports: Vec<InboundPort>) -> Inbound {
        Inbound { ports, ..Inbound::default() }
    }

    #[test]
    fn a_port_is_found_by_what_the_caller_meant_or_by_where_it_leads() {
        let inbound = inbound(vec![port("a", 80, 8080), port("b", 80, 9090)]);
        assert_eq!(inbound.find("b", 80).map(|it| it.target_port), Some(9090));
        assert_eq!(inbound.find("b", 81), None);
        assert_eq!(inbound.by_target(9090).map(|it| &*it.host), Some("b"));
        assert_eq!(inbound.only_target(), None);
    }

    #[test]
    fn connections_begin_as_the_ports_have_it_together() {
        use Mode::{Disable, Permissive, Strict};
        for (modes, expected) in [
            (&[][..], Gate::MutualTls),
            (&[Strict, Strict], Gate::MutualTls),
            (&[Strict, Permissive], Gate::Either),
            (&[Strict, Disable], Gate::Either),
            (&[Permissive], Gate::Either),
            (&[Disable, Disable], Gate::Plaintext),
        ] {
            let on = |mode: &Mode| InboundPort { mode: *mode, ..port("a", 80, 8080) };
            let ports: Vec<InboundPort> = modes.iter().map(on).collect();
            assert_eq!(Gate::of(&ports), expected, "{modes:?}");
        }
    }

    #[test]
    fn where_all_ways_lead_to_one_port_it_is_meant() {
        assert_eq!(Inbound::default().only_target(), None);
        let inbound = inbound(vec![port("a", 80, 8080), port("a", 443, 8080)]);
        assert_eq!(inbound.only_target().map(|it| it.service_port), Some(80));
    }
}
