//! A server outside of the mesh, in plaintext or over TLS, that says how it was called.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::server::{WantsServerCert, WebPkiClientVerifier};
use rustls::version::TLS12;
use rustls::{ConfigBuilder, RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// An authority of which the files lie in a directory.
pub(super) struct Authority {
    dir: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let dir = tempfile::tempdir().unwrap();
        // Each has a name of its own.
        params.distinguished_name.push(DnType::CommonName, dir.path().to_str().unwrap());
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Authority { dir, issuer }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The file of its certificate.
    pub(super) fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Writes `NAME.pem` and `NAME.key` of a certificate that bears these names.
    pub(super) fn write_leaf(&self, name: &str, names: &[&str]) {
        self.write_leaf_to(self.dir.path(), name, names);
    }

    /// The same into another directory.
    pub(super) fn write_leaf_to(&self, dir: &Path, name: &str, names: &[&str]) {
        let (pem, key) = self.leaf(names);
        std::fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
        std::fs::write(dir.join(format!("{name}.pem")), pem.pem()).unwrap();
    }

    fn leaf(&self, names: &[&str]) -> (rcgen::Certificate, KeyPair) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// What a server of these names needs.
    pub(super) fn server(&self, names: &[&str]) -> ServerConfig {
        self.finish(ServerConfig::builder().with_no_client_auth(), names)
    }

    /// The same for one that knows TLS 1.2 only.
    pub(super) fn old_server(&self, names: &[&str]) -> ServerConfig {
        let builder = ServerConfig::builder_with_protocol_versions(&[&TLS12]);
        self.finish(builder.with_no_client_auth(), names)
    }

    /// The same for a server that takes clients of this authority only.
    pub(super) fn server_for_clients(&self, names: &[&str]) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
        self.finish(ServerConfig::builder().with_client_cert_verifier(verifier), names)
    }

    fn finish(
        &self,
        builder: ConfigBuilder<ServerConfig, WantsServerCert>,
        names: &[&str],
    ) -> ServerConfig {
        let (certificate, key) = self.leaf(names);
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let chain = vec![certificate.der().clone()];
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    }
}

/// The server; it ends with the test's runtime.
pub(super) struct Server {
    pub(super) port: u16,
    /// Connections that were taken.
    opened: Arc<AtomicUsize>,
    /// Each answer takes one; there are plenty until the gate is closed.
    gate: Arc<Semaphore>,
}

impl Server {
    pub(super) async fn start(tls: Option<ServerConfig>) -> Server {
        Server::start_with(tls, Semaphore::MAX_PERMITS).await
    }

    /// It answers no request before it is let.
    pub(super) async fn start_closed() -> Server {
        Server::start_with(None, 0).await
    }

    async fn start_with(tls: Option<ServerConfig>, answers: usize) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (opened, gate) = (Arc::<AtomicUsize>::default(), Arc::new(Semaphore::new(answers)));
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let (counter, answers) = (opened.clone(), gate.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, acceptor.clone(), answers.clone()));
            }
        });
        Server { port, opened, gate }
    }

    /// How many connections were taken.
    pub(super) fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }

    /// Lets it answer so many requests.
    pub(super) fn answer(&self, count: usize) {
        self.gate.add_permits(count);
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, gate: Arc<Semaphore>) {
    let Some(tls) = tls else {
        return answer(stream, "sni= cert=no".into(), gate).await;
    };
    // A client that does not like us goes away.
    let Ok(stream) = tls.accept(stream).await else { return };
    let session = stream.get_ref().1;
    let has_certificate = if session.peer_certificates().is_some() { "yes" } else { "no" };
    let name = session.server_name().unwrap_or_default();
    let how = format!("sni={name} cert={has_certificate}");
    answer(stream, how, gate).await;
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static + Send,
    how: String,
    gate: Arc<Semaphore>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (how, gate) = (how.clone(), gate.clone());
        async move {
            gate.acquire().await.unwrap().forget();
            let scheme = request.uri().scheme_str().map(|it| format!("{it} ")).unwrap_or_default();
            let body = format!("{:?} {scheme}{how}", request.version());
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(body))))
        }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    // A connection may end in any way.
    drop(builder.serve_connection(TokioIo::new(stream), service).await);
}
