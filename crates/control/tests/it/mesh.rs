//! A control plane in a directory of its own, and members of its mesh.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use meltemi_control::{Addresses, ControlFile, ControlPlane, Options, local_join_token};
use meltemi_identity::ca::{Authority, control_plane_id};
use meltemi_identity::rotate::{Signed, obtain};
use meltemi_identity::tls::bootstrap_client_config;
use meltemi_identity::{AlpnPlan, Identity, Svid, TrustBundle, csr, key};
use meltemi_names::SpiffeId;
use meltemi_wire::certificate::create_certificate;
use meltemi_wire::delta::client::Update;
use meltemi_wire::delta::{DeltaClient, Handle};
use meltemi_wire::proto::meltemi::v1::{RegisteredWorkload, WorkloadPort};
use meltemi_wire::registration::{GroupNews, Registrar};
use meltemi_wire::transport::{Target, TlsSource, channel};
use meltemi_wire::type_url::{ENDPOINT, SERVICE};
use meltemi_wire::xds::node;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tonic::transport::Channel;

/// How long an event may take before a test counts as failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How long the certificates of the CA live at least.
const SHORTEST: Duration = Duration::from_secs(300);

/// Waits for an event that must come.
pub(crate) async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, event).await {
        Ok(outcome) => outcome,
        Err(_) => panic!("in time: {what}"),
    }
}

/// A control plane under test.
pub(crate) struct Mesh {
    pub(crate) plane: ControlPlane,
    options: Options,
    dir: TempDir,
}

impl Mesh {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Options)) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), change).await
    }

    pub(crate) async fn start_in(dir: TempDir, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = options(dir.path());
        change(&mut options);
        let plane = ControlPlane::start(options.clone()).await.unwrap();
        Mesh { plane, options, dir }
    }

    /// Stops it in order and starts it again, on the same addresses.
    pub(crate) async fn restart(self) -> Self {
        self.restart_after(|| {}).await
    }

    /// The same, with something that happens while there is no control plane.
    pub(crate) async fn restart_after(self, meanwhile: impl FnOnce()) -> Self {
        let same = Options { addresses: self.addresses(), ..self.options };
        self.plane.stop().await;
        meanwhile();
        Self::start_in(self.dir, |options| *options = same).await
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        state_dir(self.dir.path())
    }

    fn addresses(&self) -> Addresses {
        let bound = self.plane.addresses();
        Addresses {
            api: bound.api,
            xds: bound.xds,
            secure_xds: bound.secure_xds,
            dns: bound.dns,
            monitoring: bound.monitoring,
        }
    }

    pub(crate) fn bundle(&self) -> TrustBundle {
        TrustBundle::from_pem(&self.plane.file().trust_bundle).unwrap()
    }

    pub(crate) fn token(&self, service_account: &str) -> String {
        local_join_token(&self.state_dir(), "default", service_account, PATIENCE).unwrap()
    }

    /// A channel of somebody who has no certificate yet.
    pub(crate) fn stranger(&self) -> Channel {
        stranger(self.plane.file())
    }

    /// A new member of the mesh, whose certificate has this much left of its life.
    pub(crate) fn member_for(&self, service_account: &str, left: Duration) -> Member {
        Member::new(target(self.plane.file()), self.svid(service_account, left), self.bundle())
    }

    /// A certificate with this much left of its life, signed by the mesh's CA.
    pub(crate) fn svid(&self, service_account: &str, left: Duration) -> Svid {
        let (id, now) = (workload_id(service_account), SystemTime::now());
        let domain = id.trust_domain().clone();
        let ca = Authority::open_or_create(&self.state_dir().join("ca"), domain, now).unwrap();
        let key = key::generate().unwrap();
        let csr = csr::create(&key, &id).unwrap();
        let life = left.max(SHORTEST);
        let chain = ca.sign(&csr, &id, life, now + left - life).unwrap();
        Svid::from_pem(&chain.concat(), &key.to_pem()).unwrap()
    }

    /// A new member of the mesh, with a certificate got by a join token.
    pub(crate) async fn member(&self, service_account: &str) -> Member {
        join(self.plane.file(), &self.state_dir(), service_account).await
    }
}

/// A channel of somebody who has no certificate yet.
fn stranger(file: &ControlFile) -> Channel {
    let (plane, bundle) = (plane_id(), TrustBundle::from_pem(&file.trust_bundle).unwrap());
    let config = bootstrap_client_config(&bundle, plane.clone(), vec![b"h2".to_vec()]).unwrap();
    channel(&target(file), Arc::new(move || config.clone()), plane)
}

/// A new member of the mesh whose control plane wrote this file.
pub(crate) async fn join(file: &ControlFile, state_dir: &Path, service_account: &str) -> Member {
    let token = local_join_token(state_dir, "default", service_account, PATIENCE).unwrap();
    let stranger = stranger(file);
    let signer = move |csr: String| -> Signed {
        let (channel, token) = (stranger.clone(), token.clone());
        Box::pin(async move {
            Ok(create_certificate(channel, Some(&token), csr, Duration::ZERO).await?)
        })
    };
    let bundle = TrustBundle::from_pem(&file.trust_bundle).unwrap();
    let id = workload_id(service_account);
    let (svid, bundle) = obtain(&id, &bundle, &signer, SystemTime::now).await.unwrap();
    Member::new(target(file), svid, bundle)
}

fn target(file: &ControlFile) -> Target {
    file.secure_xds.to_string().parse().unwrap()
}

pub(crate) fn state_dir(dir: &Path) -> PathBuf {
    dir.join("state")
}

pub(crate) fn options(dir: &Path) -> Options {
    let trust_domain = "cluster.local".parse().unwrap();
    Options { addresses: Addresses::free(), ..Options::new(state_dir(dir), trust_domain) }
}

pub(crate) fn plane_id() -> SpiffeId {
    control_plane_id(&"cluster.local".parse().unwrap()).unwrap()
}

pub(crate) fn workload_id(service_account: &str) -> SpiffeId {
    SpiffeId::new("cluster.local".parse().unwrap(), "default", service_account).unwrap()
}

/// A workload with a certificate.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) identity: Identity,
    target: Target,
}

impl Member {
    pub(crate) fn new(target: Target, svid: Svid, bundle: TrustBundle) -> Self {
        let plan = AlpnPlan { server: Vec::new(), clients: vec![vec![b"h2".to_vec()]] };
        Member { identity: Identity::new(svid, bundle, plan).unwrap(), target }
    }

    /// A new connection.
    pub(crate) fn channel(&self) -> Channel {
        let identity = self.identity.clone();
        let tls: TlsSource = Arc::new(move || identity.tls().clients[0].clone());
        channel(&self.target, tls, plane_id())
    }

    /// Registers `NAME` of the service `hello` at an address.
    pub(crate) fn register(&self, name: &str, address: &str) -> Registrar {
        Registrar::start(self.channel(), self.workload(name, address), ungrouped())
    }

    /// Registers `NAME` as a member of a group, of no service of its own.
    pub(crate) fn join(&self, group: &str, name: &str) -> (Registrar, watch::Receiver<GroupNews>) {
        let (told, news) = watch::channel(Err(String::new()));
        let workload = RegisteredWorkload {
            service: String::new(),
            ports: Vec::new(),
            group: group.into(),
            ..self.workload(name, "127.0.0.1")
        };
        (Registrar::start(self.channel(), workload, told), news)
    }

    pub(crate) fn workload(&self, name: &str, address: &str) -> RegisteredWorkload {
        RegisteredWorkload {
            service: "hello".into(),
            namespace: "default".into(),
            service_account: self.identity.id().service_account().into(),
            name: name.into(),
            address: address.into(),
            inbound_port: 15006,
            ports: vec![WorkloadPort { number: 8001, protocol: "http".into() }],
            ready: true,
            ..RegisteredWorkload::default()
        }
    }

    /// Follows discovery.
    pub(crate) fn subscribe(&self, name: &str) -> Subscriber {
        Subscriber::start(self.channel(), name)
    }
}

/// For workloads of no group: nobody listens.
fn ungrouped() -> watch::Sender<GroupNews> {
    watch::Sender::new(Err(String::new()))
}

/// A client of the delta stream that subscribed to the service `hello`.
pub(crate) struct Subscriber {
    pub(crate) handle: Handle,
    updates: mpsc::Receiver<Update>,
}

/// The canonical host of the service in all tests.
pub(crate) const HELLO: &str = "hello.default.svc.cluster.local";

impl Subscriber {
    pub(crate) fn start(channel: Channel, name: &str) -> Self {
        let (sender, updates) = mpsc::channel(1024);
        let node = node(name, "default", name, "127.0.0.1", &Default::default());
        let handle = DeltaClient::start(channel, node, move |update| {
            // A test that has seen enough is gone.
            drop(sender.try_send(update));
            Vec::new()
        });
        handle.subscribe(SERVICE, HELLO);
        handle.subscribe(ENDPOINT, &format!("{HELLO}/*"));
        Subscriber { handle, updates }
    }

    /// The next update.
    pub(crate) async fn next(&mut self) -> Update {
        soon("an update", self.updates.recv()).await.unwrap()
    }

    /// What has come already.
    pub(crate) fn pending(&mut self) -> Vec<Update> {
        std::iter::from_fn(|| self.updates.try_recv().ok()).collect()
    }

    /// Waits until an endpoint is there.
    pub(crate) async fn sees(&mut self, workload: &str) {
        let name = format!("{HELLO}/{workload}");
        while !self.next().await.added.iter().any(|added| added.name == name) {}
    }

    /// Waits until an endpoint is gone.
    pub(crate) async fn loses(&mut self, workload: &str) {
        let name = format!("{HELLO}/{workload}");
        while !self.next().await.removed.contains(&name) {}
    }

    /// Waits until the stream stands, or stands no longer.
    pub(crate) async fn connected(&self, wanted: bool) {
        let mut state = self.handle.state();
        let event = state.wait_for(|state| state.is_connected() == wanted);
        soon("a change of the connection", event).await.unwrap();
    }
}

/// Waits until a registration is confirmed.
pub(crate) async fn registered(registrar: &Registrar) {
    let mut registered = registrar.registered();
    soon("the registration", registered.wait_for(|it| *it)).await.unwrap();
}
