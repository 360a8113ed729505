//! What a Sidecar resource says of what comes in: which listener takes the traffic of a port, and where it goes.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use meltemi_names::Protocol;
use meltemi_policy::destination::rule::ConnectionPool;
use meltemi_policy::server_tls::ServerTls;
use meltemi_wire::proto::meltemi::v1;
use serde::de::DeserializeOwned;

use super::app::{App, At};
use super::egress::unix_path;
use super::{Bind, InboundListener, Termination};

/// The listeners of a Sidecar resource, and the applications of the ports that were asked for so far.
#[derive(Debug, Default)]
pub(super) struct Ingress {
    listeners: Vec<Listener>,
    /// The limits where a listener has none of its own.
    pool: ConnectionPool,
    apps: BTreeMap<u16, Arc<App>>,
}

#[derive(Debug)]
struct Listener {
    port: u16,
    name: String,
    protocol: Protocol,
    /// `None`: the same port.
    at: Option<At>,
    pool: Option<ConnectionPool>,
    bind: Option<SocketAddr>,
    tls: Option<Arc<Termination>>,
}

/// Who takes a port's traffic.
#[derive(Debug, PartialEq)]
pub(super) struct Taken {
    pub(super) app: Arc<App>,
    /// What the listener says is spoken.
    pub(super) protocol: Option<Protocol>,
    /// The listener's number, if there is one.
    pub(super) listener: Option<u16>,
    /// The TLS of callers outside of the mesh.
    pub(super) tls: Option<Arc<Termination>>,
}

impl Ingress {
    /// Reads a resource. `own` is the workload's own address, for endpoints at all addresses.
    ///
    /// # Errors
    /// What cannot be read, for people.
    pub(super) fn read(sidecar: Option<&v1::Sidecar>, own: &str) -> Result<Ingress, String> {
        let Some(sidecar) = sidecar else { return Ok(Ingress::default()) };
        let listeners = sidecar.ingress.iter().map(|it| Listener::read(it, own));
        Ok(Ingress {
            listeners: listeners.collect::<Result<_, _>>()?,
            pool: json(&sidecar.inbound_connection_pool)?.unwrap_or_default(),
            apps: BTreeMap::new(),
        })
    }

    /// Who takes the traffic that services lead to a port of the workload; `None` where there are listeners, but none for it.
    /// As with Istio the listener of the number takes it, else the one that bears the name of the service's port.
    pub(super) fn take(&mut self, port: u16, name: &str) -> Option<Taken> {
        let by_number = self.listeners.iter().find(|it| it.port == port);
        let by_name = || self.listeners.iter().find(|it| !name.is_empty() && it.name == name);
        let listener = by_number.or_else(by_name);
        if listener.is_none() && !self.listeners.is_empty() {
            return None;
        }
        let app = self.apps.entry(port).or_insert_with(|| {
            let at = listener.and_then(|it| it.at.clone()).unwrap_or(At::Loopback(port));
            App::new(port, at, listener.and_then(|it| it.pool.as_ref()).unwrap_or(&self.pool))
        });
        let protocol = listener.map(|it| it.protocol).filter(|it| *it != Protocol::Auto);
        Some(Taken {
            app: app.clone(),
            protocol,
            listener: listener.map(|it| it.port),
            tls: listener.and_then(|it| it.tls.clone()),
        })
    }

    /// The addresses that listeners have of their own. One at which the application itself takes connections is left out and
    /// told of: what came in there would come in again and again.
    pub(super) fn addresses(&self) -> Vec<InboundListener> {
        let is_circle = |it: &Listener, bind: &SocketAddr| {
            let (ip, port) = match &it.at {
                None => (IpAddr::from([127, 0, 0, 1]), it.port),
                Some(At::Loopback(port)) => (IpAddr::from([127, 0, 0, 1]), *port),
                Some(At::Address(at)) => (at.ip(), at.port()),
                Some(At::Unix(_)) => return false,
            };
            port == bind.port() && (ip == bind.ip() || bind.ip().is_unspecified())
        };
        let own = self.listeners.iter().filter_map(|it| it.bind.map(|bind| (it, bind)));
        own.filter_map(|(it, bind)| {
            if is_circle(it, &bind) {
                tracing::warn!(%bind, "an ingress listener is where its own defaultEndpoint is; it is not opened");
                return None;
            }
            Some(InboundListener { bind: Arc::new(Bind::Address(bind)), number: it.port })
        })
        .collect()
    }
}

impl Listener {
    fn read(message: &v1::IngressListener, own: &str) -> Result<Listener, String> {
        let port = u16::try_from(message.port).ok().filter(|port| *port > 0);
        let port = port.ok_or_else(|| format!("{} is no port: 1 to 65535", message.port))?;
        let protocol = v1::Protocol::try_from(message.protocol);
        let mut protocol = protocol.map(Protocol::from).unwrap_or_default();
        let tls: Option<ServerTls> = json(&message.tls)?;
        if tls.is_some() {
            // What is beneath the TLS, which ends here.
            protocol = match protocol {
                Protocol::Https => Protocol::Http,
                Protocol::Tls => Protocol::Tcp,
                other => other,
            };
        }
        let bind = match message.bind.as_str() {
            "" => None,
            bind => Some(bind.parse().map_err(|_| format!("`{bind}` is no address"))?),
        };
        let is_http = protocol.takes_requests();
        Ok(Listener {
            port,
            name: message.name.clone(),
            protocol,
            at: at(&message.default_endpoint, own)?,
            pool: json(&message.connection_pool)?,
            bind,
            tls: tls.map(|tls| Termination::new(&tls, is_http)),
        })
    }
}

/// Where a `defaultEndpoint` is. At all addresses stands for the workload's own, as Istio has it.
fn at(endpoint: &str, own: &str) -> Result<Option<At>, String> {
    if endpoint.is_empty() {
        return Ok(None);
    }
    if let Some(path) = unix_path(endpoint) {
        return Ok(Some(At::Unix(path.into())));
    }
    let address: SocketAddr =
        endpoint.parse().map_err(|_| format!("the endpoint `{endpoint}` is no address"))?;
    if !address.ip().is_unspecified() {
        return Ok(Some(At::Address(address)));
    }
    let own = own.parse::<IpAddr>().ok().filter(|own| !own.is_unspecified());
    Ok(Some(match own {
        Some(own) => At::Address(SocketAddr::new(own, address.port())),
        None => At::Loopback(address.port()),
    }))
}

fn json<T: DeserializeOwned>(text: &[u8]) -> Result<Option<T>, String> {
    match text.is_empty() {
        true => Ok(None),
        false => serde_json::from_slice(text).map(Some).map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(port: u32, name: &str, endpoint: &str) -> v1::IngressListener {
        v1::IngressListener {
            port,
            name: name.into(),
            default_endpoint: endpoint.into(),
            protocol: v1::Protocol::Http2.into(),
            ..v1::IngressListener::default()
        }
    }

    fn ingress(listeners: Vec<v1::IngressListener>) -> Ingress {
        let sidecar = v1::Sidecar {
            ingress: listeners,
            inbound_connection_pool: br#"{"http":{"http2MaxRequests":7}}"#.to_vec(),
            ..v1::Sidecar::default()
        };
        Ingress::read(Some(&sidecar), "10.0.0.1").unwrap()
    }

    fn place(ingress: &mut Ingress, port: u16, name: &str) -> Option<String> {
        ingress.take(port, name).map(|taken| taken.app.place.at.to_string())
    }

    #[test]
    fn a_listener_is_found_by_number_else_by_name() {
        let mut ingress = ingress(vec![
            listener(81, "http", "127.0.0.1:9001"),
            listener(80, "", "unix:///run/app"),
            listener(82, "", ""),
        ]);
        for (port, name, expected) in [
            (80, "http", Some("unix:///run/app")),
            (9080, "http", Some("127.0.0.1:9001")),
            (82, "other", Some("127.0.0.1:82")),
            (83, "", None),
        ] {
            assert_eq!(place(&mut ingress, port, name).as_deref(), expected, "{port} {name}");
        }
        assert_eq!(ingress.take(80, "").unwrap().protocol, Some(Protocol::Http2));
    }

    #[test]
    fn without_listeners_every_port_is_taken_at_its_own_number() {
        let mut ingress = ingress(Vec::new());
        assert_eq!(place(&mut ingress, 80, "http").as_deref(), Some("127.0.0.1:80"));
        let [one, two] = [80, 80].map(|port| ingress.take(port, "").unwrap());
        assert_eq!(one.protocol, None);
        assert!(Arc::ptr_eq(&one.app, &two.app), "they count together");
    }

    #[test]
    fn all_addresses_are_the_workloads_own() {
        for (endpoint, own, expected) in [
            ("0.0.0.0:9", "10.0.0.1", "10.0.0.1:9"),
            ("[::]:9", "fd00::1", "[fd00::1]:9"),
            ("0.0.0.0:9", "vm.example.com", "127.0.0.1:9"),
            ("[::1]:9", "10.0.0.1", "[::1]:9"),
        ] {
            assert_eq!(at(endpoint, own).unwrap().unwrap().to_string(), expected);
        }
        assert!(at("nowhere", "").is_err());
    }

    #[test]
    fn addresses_of_their_own_lead_to_no_circle() {
        let at = |port: u32, bind: &str, endpoint: &str| v1::IngressListener {
            bind: bind.into(),
            ..listener(port, "", endpoint)
        };
        let ingress = ingress(vec![
            at(80, "10.0.0.1:80", ""),
            at(81, "0.0.0.0:81", "127.0.0.1:9081"),
            at(82, "0.0.0.0:82", ""),
            at(83, "127.0.0.1:83", "127.0.0.1:83"),
            at(84, "127.0.0.1:84", "unix:///run/app"),
            at(85, "", ""),
        ]);
        let numbers: Vec<u16> = ingress.addresses().iter().map(|it| it.number).collect();
        assert_eq!(numbers, [80, 81, 84]);
    }

    #[test]
    fn a_listeners_own_limits_take_the_place_of_all() {
        let own = br#"{"http":{"http2MaxRequests":1}}"#;
        let with = v1::IngressListener { connection_pool: own.to_vec(), ..listener(80, "", "") };
        let mut ingress = ingress(vec![with, listener(81, "", "")]);
        use meltemi_policy::circuit::Resource::Requests;
        let [own, all] = [80, 81].map(|port| ingress.take(port, "").unwrap());
        assert_eq!((own.app.circuit.limit(Requests), all.app.circuit.limit(Requests)), (1, 7));
    }
}
