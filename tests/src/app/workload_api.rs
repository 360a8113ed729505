//! An agent that speaks the SPIFFE Workload API over a Unix socket, with a CA of its own, as SPIRE's does.

use std::path::{Path, PathBuf};
use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{UnixListenerStream, WatchStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::spiffe::spiffe_workload_api_server::{SpiffeWorkloadApi, SpiffeWorkloadApiServer};
use crate::spiffe::{X509svid, X509svidRequest, X509svidResponse};

/// The agent; it ends when this is dropped.
#[derive(Debug)]
pub struct WorkloadApi {
    path: PathBuf,
    id: String,
    root: Vec<u8>,
    root_pem: String,
    issuer: Issuer<'static, KeyPair>,
    current: watch::Sender<X509svidResponse>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Service(watch::Receiver<X509svidResponse>);

#[tonic::async_trait]
impl SpiffeWorkloadApi for Service {
    type FetchX509SVIDStream = Pin<Box<dyn Stream<Item = Result<X509svidResponse, Status>> + Send>>;

    async fn fetch_x509svid(
        &self,
        request: Request<X509svidRequest>,
    ) -> Result<Response<Self::FetchX509SVIDStream>, Status> {
        match request.metadata().get("workload.spiffe.io") {
            Some(value) if value == "true" => {
                Ok(Response::new(Box::pin(WatchStream::new(self.0.clone()).map(Ok))))
            }
            _ => Err(Status::invalid_argument("security header missing from request")),
        }
    }
}

impl WorkloadApi {
    /// Gives each caller an SVID of this id, by the socket `agent.sock` in a directory.
    ///
    /// # Panics
    /// If it cannot listen there.
    pub fn start(directory: &Path, id: &str) -> Self {
        let (key, params) = (KeyPair::generate().expect("a key"), root());
        let certificate = params.self_signed(&key).expect("a root");
        let issuer = Issuer::new(params, key);
        let root = certificate.der().to_vec();
        let current = watch::Sender::new(signed(&issuer, &root, id));
        let path = directory.join("agent.sock");
        let listener = UnixListener::bind(&path).expect("the socket is free");
        let server = Server::builder()
            .add_service(SpiffeWorkloadApiServer::new(Service(current.subscribe())));
        let running = server.serve_with_incoming(UnixListenerStream::new(listener));
        let task = tokio::spawn(async move { running.await.expect("the agent serves") });
        let (id, root_pem) = (id.to_owned(), certificate.pem());
        WorkloadApi { path, id, root, root_pem, issuer, current, task }
    }

    /// Its socket, as `--spiffe-endpoint-socket` takes it.
    pub fn socket(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// Its root, PEM.
    pub fn root(&self) -> &str {
        &self.root_pem
    }

    /// The certificate that is given now, DER.
    pub fn certificate(&self) -> Vec<u8> {
        self.current.borrow().svids[0].x509_svid.clone()
    }

    /// Gives everybody a new key and certificate.
    pub fn rotate(&self) {
        self.current.send_replace(signed(&self.issuer, &self.root, &self.id));
    }
}

impl Drop for WorkloadApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn root() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn signed(issuer: &Issuer<'static, KeyPair>, root: &[u8], id: &str) -> X509svidResponse {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "SPIRE");
    params.subject_alt_names = vec![SanType::URI(id.try_into().expect("an id is ASCII"))];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let certificate = params.signed_by(&key, issuer).expect("a certificate");
    let svid = X509svid {
        spiffe_id: id.to_owned(),
        x509_svid: certificate.der().to_vec(),
        x509_svid_key: key.serialize_der(),
        bundle: root.to_vec(),
        hint: String::new(),
    };
    X509svidResponse { svids: vec![svid], ..X509svidResponse::default() }
}
