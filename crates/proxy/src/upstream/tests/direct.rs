//! A worker without a data path around it.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use meltemi_identity::ca;
use meltemi_identity::{Identity, Svid};
use meltemi_names::SpiffeId;
use meltemi_telemetry::{Metrics, Party};
use meltemi_wire::proto::meltemi::v1;
use meltemi_wire::transport::{Target, plaintext_channel};
use meltemi_wire::xds::node;

use crate::config::fixture::{built, endpoint, service};
use crate::config::{Mesh, MeshOptions, Service};
use crate::in_process::Handlers;
use crate::listen::alpn::Inner;
use crate::probe::AppHealth;
use crate::reporting::{Meters, Reporting};
use crate::upstream::route::{Place, Route};
use crate::worker::{Load, Worker};
use crate::{Local, Shared, alpn_plan};

/// A worker of `web`, and the identity of `hello`. Nothing answers as their control plane.
pub(super) fn worker() -> (Rc<Worker>, Identity) {
    let dir = tempfile::tempdir().unwrap();
    let domain = "cluster.local".parse().unwrap();
    let authority = ca::Authority::open_or_create(dir.path(), domain, SystemTime::now()).unwrap();
    let target: Target = "127.0.0.1:1".parse().unwrap();
    let shared = Shared {
        outcomes: Arc::new(crate::Outcomes::new(1)),
        mesh: Mesh::start(MeshOptions {
            labels: std::collections::BTreeMap::default(),
            channel: plaintext_channel(&target),
            node: node("web-1", "default", "web", "127.0.0.1", &BTreeMap::new()),
            workload: None,
            namespace: "default".into(),
            cache_dir: None,
            trust: None,
        }),
        identity: identity(&authority, "web"),
        metrics: Arc::new(Metrics::new(1)),
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
    let report = Reporting::new(Meters::new(1), 0);
    let worker = Worker::new(Arc::new(shared), 0, Arc::<Load>::default(), report, [].into());
    (worker, identity(&authority, "hello"))
}

fn identity(authority: &ca::Authority, account: &str) -> Identity {
    let id = SpiffeId::new(authority.trust_domain().clone(), "default", account).unwrap();
    let key = meltemi_identity::key::generate().unwrap();
    let csr = meltemi_identity::csr::create(&key, &id).unwrap();
    let hour = Duration::from_secs(3600);
    let chain = authority.sign(&csr, &id, hour, SystemTime::now()).unwrap().concat();
    let svid = Svid::from_pem(&chain, &key.to_pem()).unwrap();
    Identity::new(svid, authority.bundle(), alpn_plan()).unwrap()
}

/// The service `hello` with one endpoint on these ports, called by a policy.
pub(super) fn hello(
    plain: u16,
    secure: Option<u16>,
    policy: Option<serde_json::Value>,
    names: &[&str],
) -> Arc<Service> {
    let mut endpoint = endpoint("a");
    endpoint.ports[0].target_port = plain.into();
    match secure {
        Some(port) => endpoint.inbound_port = port.into(),
        None => endpoint.tls_mode = v1::TlsMode::Disable.into(),
    }
    hello_at(endpoint, policy, names)
}

/// The same with this endpoint.
pub(super) fn hello_at(
    endpoint: v1::Endpoint,
    policy: Option<serde_json::Value>,
    names: &[&str],
) -> Arc<Service> {
    let mut service = service("hello", &[80]);
    service.subject_alt_names = names.iter().map(ToString::to_string).collect();
    if let Some(policy) = policy {
        let rule = serde_json::json!({
            "name": "rule", "namespace": "default", "host": service.host, "trafficPolicy": policy,
        });
        service.destination_rules.push(rule.to_string().into_bytes());
    }
    built(&service, &[endpoint])
}

/// The way to its endpoint.
pub(super) fn route(service: &Service, inner: Inner) -> Route {
    let cluster = service.cluster(80).unwrap().clone();
    let endpoint = cluster.endpoints()[0].clone();
    Route { place: Place::Endpoint(cluster, endpoint), inner }
}
