//! The registry as the name server sees it: always the snapshot of the moment.

use std::collections::HashSet;
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
        // Whoever asks over the network has no namespace of its own.
        self.publisher.snapshot().find(name, DEFAULT_NAMESPACE).map(|service| answer(service))
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
    Answer {
        host: service.host.clone(),
        external: service.external,
        resolution: match service.resolution {
            model::Resolution::Static => Resolution::Static,
            model::Resolution::Dns => Resolution::Dns,
            model::Resolution::None => Resolution::None,
        },
        ports: ports.collect(),
        endpoints: service.endpoints.values().map(|it| endpoint(it)).collect(),
    }
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
