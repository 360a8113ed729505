//! The registry as the name server sees it: always the snapshot of the moment.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use meltemi_discovery::Publisher;
use meltemi_dns::{
    Address, Answer, Config, Endpoint, Error, Names, Port, Resolution, Server, Transport, Upstreams,
};
use meltemi_model::{self as model, Snapshot};
use meltemi_names::{DEFAULT_NAMESPACE, Protocol};
use parking_lot::Mutex;
use tokio::net::{TcpListener, UdpSocket};

use crate::options::Options;
use crate::stopping::Stopping;

/// Starts the name server; the future ends when it has stopped.
pub(crate) fn server(
    (udp, tcp): (UdpSocket, TcpListener),
    publisher: Arc<Publisher>,
    options: &Options,
    stopping: Stopping,
) -> Result<impl Future<Output = ()> + Send + 'static, Error> {
    let mut config = Config { suffix: options.domain_suffix.clone(), ..Config::default() };
    if !options.dns_upstreams.is_empty() {
        config.upstreams = Upstreams::Fixed(options.dns_upstreams.clone());
    }
    let names = Arc::new(Registered { publisher, namespaces: Mutex::default() });
    let server = Server::start(udp, tcp, config, names)?;
    Ok(async move {
        stopping.wait().await;
        server.stop().await;
    })
}

/// Answers from the published snapshot.
struct Registered {
    publisher: Arc<Publisher>,
    namespaces: Mutex<Namespaces>,
}

/// The namespaces that have services, of one snapshot.
#[derive(Default)]
struct Namespaces {
    of: Arc<Snapshot>,
    names: HashSet<Arc<str>>,
}

impl Names for Registered {
    fn find(&self, name: &str) -> Option<Answer> {
        // Whoever asks over the network has no namespace of its own, so that everybody sees every service.
        let snapshot = self.publisher.snapshot();
        snapshot.find_registered(name, DEFAULT_NAMESPACE).map(|service| answer(service))
    }

    fn has_namespace(&self, namespace: &str) -> bool {
        let snapshot = self.publisher.snapshot();
        let mut known = self.namespaces.lock();
        if !Arc::ptr_eq(&known.of, &snapshot) {
            let own = snapshot.services().filter(|service| !service.external);
            known.names = own.map(|service| service.namespace.clone()).collect();
            known.of = snapshot;
        }
        known.names.contains(namespace)
    }
}

fn answer(service: &model::Service) -> Answer {
    let ports = service.ports.iter().map(|port| Port {
        number: port.number,
        name: port.name.clone(),
        transport: match port.protocol {
            Protocol::Udp => Transport::Udp,
            _ => Transport::Tcp,
        },
    });
    let addresses = addresses(service);
    Answer {
        host: service.host.clone(),
        external: service.external,
        resolution: match service.resolution {
            _ if !addresses.is_empty() => Resolution::Static,
            model::Resolution::Static => Resolution::Static,
            model::Resolution::Dns | model::Resolution::DnsRoundRobin => Resolution::Dns,
            model::Resolution::None | model::Resolution::DynamicDns => Resolution::None,
        },
        ports: ports.collect(),
        endpoints: match addresses.is_empty() {
            true => service.endpoints.values().map(|it| endpoint(it)).collect(),
            false => addresses,
        },
    }
}

/// The addresses that stand for all of a service, where clients are to call these in place of its endpoints'.
fn addresses(service: &model::Service) -> Vec<Endpoint> {
    let public = service.addresses.iter().filter(|_| service.has_public_addresses);
    let ips = public.filter_map(|address| address.parse().ok());
    let endpoint = |ip: IpAddr| Endpoint {
        workload: ip.to_string().replace(['.', ':'], "-").into(),
        address: Address::Ip(ip),
        ports: Vec::new(),
        weight: 1,
    };
    ips.map(endpoint).collect()
}

fn endpoint(endpoint: &model::Endpoint) -> Endpoint {
    Endpoint {
        workload: endpoint.workload.clone(),
        address: match endpoint.address.parse() {
            Ok(ip) => Address::Ip(ip),
            Err(_) => Address::Host(endpoint.address.to_string()),
        },
        ports: endpoint.ports.clone(),
        weight: endpoint.weight,
    }
}
