//! A data path with a control plane and applications of the test's own, all on real sockets.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::{Stream, stream};
use meltemi_identity::ca::Authority;
use meltemi_identity::{Identity, Svid};
use meltemi_names::SpiffeId;
use meltemi_telemetry::{Format, Metrics, Party};
use meltemi_wire::delta::server::{Found, Session, Source};
use meltemi_wire::proto::meltemi::v1;
use meltemi_wire::transport::{Incoming, Target, plaintext_channel};
use meltemi_wire::type_url;
use meltemi_wire::xds::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer, DeltaDiscoveryRequest,
    DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, node,
};
use prost::Message;
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::config::fixture::added;
use crate::config::{Mesh, MeshOptions};
use crate::in_process::Handlers;
use crate::probe::AppHealth;
use crate::{DataPath, Listeners, Local, Shared, UpstreamListener, alpn_plan};

/// Longer than anything takes here.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// Waits for what must come.
pub(crate) async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LONG, event).await {
        Ok(outcome) => outcome,
        Err(_) => panic!("in time: {what}"),
    }
}

/// What the control plane knows.
#[derive(Default, Clone)]
pub(crate) struct World(BTreeMap<(String, String), (String, Vec<u8>)>);

impl World {
    /// A service `NAME.default.svc.cluster.local` of one port, served by an application of this machine.
    pub(crate) fn service(self, name: &str, port: u32, protocol: v1::Protocol, app: u16) -> World {
        let ports =
            vec![v1::ServicePort { number: port, name: "p".into(), protocol: protocol.into() }];
        let service = v1::Service {
            host: full(name),
            namespace: "default".into(),
            name: name.into(),
            ports,
            ..v1::Service::default()
        };
        let endpoint = v1::Endpoint {
            workload: format!("{name}-1"),
            namespace: "default".into(),
            address: Ipv4Addr::LOCALHOST.to_string(),
            ports: vec![v1::PortMapping {
                service_port: port,
                target_port: app.into(),
                plaintext: false,
            }],
            tls_mode: v1::TlsMode::Disable.into(),
            ..v1::Endpoint::default()
        };
        let world = self.put(type_url::ENDPOINT, &format!("{}/{name}-1", full(name)), &endpoint);
        world.put(type_url::SERVICE, name, &service).put(type_url::SERVICE, &full(name), &service)
    }

    /// A service becomes one outside of the mesh that is called at its callers' own destination.
    pub(crate) fn outside(self, name: &str, host: &str) -> World {
        let (_, body) = &self.0[&(type_url::SERVICE.to_owned(), name.to_owned())];
        let mut service = v1::Service::decode(&**body).unwrap();
        service.host = host.into();
        service.external = true;
        service.resolution = v1::Resolution::None.into();
        self.put(type_url::SERVICE, host, &service)
    }

    /// A host of which only a VirtualService speaks.
    pub(crate) fn named(self, host: &str) -> World {
        let service = v1::Service {
            host: host.into(),
            namespace: "default".into(),
            name: host.into(),
            r#virtual: true,
            ..v1::Service::default()
        };
        self.put(type_url::SERVICE, host, &service)
    }

    /// Adds the rules of a VirtualService to a service or named host.
    pub(crate) fn routed(self, host: &str, rules: serde_json::Value) -> World {
        let mut rule =
            serde_json::json!({"name": "rules", "namespace": "default", "hosts": [host]});
        rule.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
        self.change(host, |service| service.virtual_services.push(rule.to_string().into_bytes()))
    }

    /// Adds a DestinationRule to a service.
    pub(crate) fn called(self, name: &str, policy: serde_json::Value) -> World {
        let rule = serde_json::json!({
            "name": "rule", "namespace": "default", "host": full(name), "trafficPolicy": policy,
        });
        self.change(name, |service| service.destination_rules.push(rule.to_string().into_bytes()))
    }

    fn change(self, host: &str, change: impl Fn(&mut v1::Service)) -> World {
        let names = [host.to_owned(), full(host)];
        names.iter().fold(self, |world, name| {
            let key = (type_url::SERVICE.to_owned(), name.clone());
            let Some((_, body)) = world.0.get(&key) else { return world };
            let mut service = v1::Service::decode(&**body).unwrap();
            change(&mut service);
            world.put(type_url::SERVICE, name, &service)
        })
    }

    fn put(mut self, kind: &str, name: &str, message: &impl Message) -> World {
        let added = added(name, message);
        self.0.insert((kind.to_owned(), name.to_owned()), (added.version, added.body));
        self
    }

    /// A proxy that hears of all this, with a local address for each of these authorities.
    pub(crate) async fn start(self, upstreams: &[(&str, u16)]) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let control = listener.local_addr().unwrap();
        let service = AggregatedDiscoveryServiceServer::new(Plane(Arc::new(self)));
        tokio::spawn(Server::builder().serve_with_incoming(service, Incoming::plaintext(listener)));
        Proxy::start(control, upstreams)
    }
}

/// The full name of a service.
pub(crate) fn full(name: &str) -> String {
    match name.contains('.') {
        true => name.to_owned(),
        false => format!("{name}.default.svc.cluster.local"),
    }
}

impl Source for World {
    fn find(&self, kind: &str, name: &str) -> Option<Found<'_>> {
        let (version, body) = self.0.get(&(kind.to_owned(), name.to_owned()))?;
        Some(Found { version, body })
    }

    fn members(&self, kind: &str, prefix: &str, each: &mut dyn FnMut(&str)) {
        let is_member = |name: &str| name.rsplit_once('/').is_some_and(|(host, _)| host == prefix);
        self.0
            .keys()
            .filter(|(of, name)| of == kind && is_member(name))
            .for_each(|(_, it)| each(it));
    }
}

type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A control plane that answers out of a world that does not change.
struct Plane(Arc<World>);

#[tonic::async_trait]
impl AggregatedDiscoveryService for Plane {
    type StreamAggregatedResourcesStream = Responses<DiscoveryResponse>;
    type DeltaAggregatedResourcesStream = Responses<DeltaDiscoveryResponse>;

    async fn stream_aggregated_resources(
        &self,
        _: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        Err(Status::unimplemented("the delta stream only"))
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        let start = (request.into_inner(), Session::new(), self.0.clone(), Vec::new());
        let answers = stream::unfold(start, |(mut requests, mut session, world, mut next)| async {
            while next.is_empty() {
                let asked = session.request(requests.message().await.ok()??);
                next.extend(session.answer(&asked, &*world));
            }
            let first = next.remove(0);
            Some((Ok(first), (requests, session, world, next)))
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

/// A data path of one worker.
pub(crate) struct Proxy {
    metrics: Arc<Metrics>,
    pub(crate) outcomes: Arc<crate::Outcomes>,
    /// Where the application's calls go in.
    pub(crate) outbound: SocketAddr,
    upstreams: HashMap<(String, u16), SocketAddr>,
    pub(crate) path: DataPath,
}

impl Proxy {
    fn start(control: SocketAddr, upstreams: &[(&str, u16)]) -> Proxy {
        let listen = || StdListener::bind("127.0.0.1:0").unwrap();
        let mut listeners = Listeners { outbound: Some(listen()), ..Listeners::default() };
        let mut addresses = HashMap::new();
        for (host, port) in upstreams {
            let (host, port, listener) = ((*host).to_owned(), *port, listen());
            addresses.insert((host.clone(), port), listener.local_addr().unwrap());
            listeners.upstreams.push(UpstreamListener { host, port, listener });
        }
        let outbound = listeners.outbound.as_ref().unwrap().local_addr().unwrap();
        let metrics = Arc::new(Metrics::new(1));
        let outcomes = Arc::new(crate::Outcomes::new(1));
        let shared = Shared {
            outcomes: outcomes.clone(),
            mesh: Mesh::start(MeshOptions {
                labels: std::collections::BTreeMap::default(),
                channel: plaintext_channel(&control.to_string().parse::<Target>().unwrap()),
                node: node("web-1", "default", "web", "127.0.0.1", &BTreeMap::new()),
                workload: None,
                namespace: "default".into(),
                cache_dir: None,
                trust: None,
            }),
            identity: identity(),
            metrics: metrics.clone(),
            local: Local {
                workload: "web-1".into(),
                namespace: "default".into(),
                party: Party::default(),
                cluster: String::new(),
            },
            app: AppHealth::new([]),
            handlers: Handlers::default(),
            tells_denied_by: false,
            access_log: None,
        };
        let path = DataPath::start(Arc::new(shared), 1, listeners).unwrap();
        Proxy { metrics, outcomes, outbound, upstreams: addresses, path }
    }

    /// Connects to the local address of a service's port.
    pub(crate) async fn connect(&self, host: &str, port: u16) -> TcpStream {
        let address = self.upstreams[&(host.to_owned(), port)];
        soon("a connection", TcpStream::connect(address)).await.unwrap()
    }

    /// How many connections of bytes were opened and closed that bear these flags.
    pub(crate) fn counted(&self, flags: &str) -> (u64, u64) {
        let text = self.metrics.render(Format::Prometheus);
        let label = format!("response_flags=\"{flags}\"");
        let sum = |metric: &str| {
            let lines = text.lines().filter(|it| it.starts_with(metric) && it.contains(&label));
            lines.map(|it| it.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
        };
        (sum("istio_tcp_connections_opened_total"), sum("istio_tcp_connections_closed_total"))
    }
}

fn identity() -> Identity {
    let dir = tempfile::tempdir().unwrap();
    let domain = "cluster.local".parse().unwrap();
    let authority = Authority::open_or_create(dir.path(), domain, SystemTime::now()).unwrap();
    let id = SpiffeId::new(authority.trust_domain().clone(), "default", "web").unwrap();
    let key = meltemi_identity::key::generate().unwrap();
    let csr = meltemi_identity::csr::create(&key, &id).unwrap();
    let hour = Duration::from_secs(3600);
    let chain = authority.sign(&csr, &id, hour, SystemTime::now()).unwrap().concat();
    let svid = Svid::from_pem(&chain, &key.to_pem()).unwrap();
    Identity::new(svid, authority.bundle(), alpn_plan()).unwrap()
}

/// An application that serves each connection by a function; its port.
pub(crate) async fn app<F>(serve: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> u16
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}
