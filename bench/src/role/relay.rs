//! The floor: copies bytes and knows nothing of what passes. What tokio and rustls cost, nobody above them goes below.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::certificates::{CA, NAME, Side};
use crate::error::BenchError;

/// A relay.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where it listens
    #[arg(long)]
    listen: SocketAddr,
    /// Whom it connects to, in turn
    #[arg(long, required = true)]
    to: Vec<SocketAddr>,
    /// Threads
    #[arg(long)]
    workers: usize,
    /// Which side speaks mutual TLS
    #[arg(long, value_enum, default_value = "none")]
    tls: Tls,
    /// Directory of the certificates
    #[arg(long, default_value = ".")]
    certificates: PathBuf,
    /// Resume no TLS session
    #[arg(long)]
    full_handshakes: bool,
}

/// Which side speaks mutual TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Tls {
    /// Neither
    None,
    /// The connections that it accepts
    Accepted,
    /// The connections that it makes
    Made,
}

impl Args {
    /// As arguments of the child.
    pub fn words(
        listen: SocketAddr,
        to: &[SocketAddr],
        workers: usize,
        tls: Tls,
        certificates: &std::path::Path,
    ) -> Vec<String> {
        let tls = match tls {
            Tls::None => "none",
            Tls::Accepted => "accepted",
            Tls::Made => "made",
        };
        let mut words = vec!["relay".to_owned(), format!("--listen={listen}")];
        words.extend(to.iter().map(|to| format!("--to={to}")));
        words.push(format!("--workers={workers}"));
        words.push(format!("--tls={tls}"));
        words.push(format!("--certificates={}", certificates.display()));
        words
    }
}

/// Relays until it is ended.
pub fn run(args: Args) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(args.workers)
        .enable_all()
        .build()
        .map_err(BenchError::system("start the runtime"))?;
    let relay = Arc::new(Relay::new(&args)?);
    runtime.block_on(async {
        let listener = TcpListener::bind(args.listen).await;
        let listener =
            listener.map_err(BenchError::system(format!("listen on {}", args.listen)))?;
        // On a worker of its own runtime, not on this thread, which would wake up for each connection.
        let accepting = tokio::spawn(accept(listener, relay));
        accepting.await.map_err(|error| BenchError::Tls(error.to_string()))
    })
}

async fn accept(listener: TcpListener, relay: Arc<Relay>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let relay = relay.clone();
                // A connection that breaks is the caller's to count.
                tokio::spawn(async move { relay.carry(stream).await });
            }
            Err(error) => {
                eprintln!("cannot accept: {error}");
                tokio::task::yield_now().await;
            }
        }
    }
}

struct Relay {
    to: Vec<SocketAddr>,
    turn: AtomicUsize,
    acceptor: Option<TlsAcceptor>,
    connector: Option<(TlsConnector, ServerName<'static>)>,
}

impl Relay {
    fn new(args: &Args) -> Result<Relay, BenchError> {
        let files = Files { directory: args.certificates.clone() };
        let tls = |error: rustls::Error| BenchError::Tls(error.to_string());
        let mut relay = Relay {
            to: args.to.clone(),
            turn: AtomicUsize::new(0),
            acceptor: None,
            connector: None,
        };
        match args.tls {
            Tls::None => {}
            Tls::Accepted => {
                let (chain, key) = files.own(Side::Server)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(
                    Arc::new(files.roots()?),
                    provider(),
                );
                let verifier = verifier.build().map_err(|it| BenchError::Tls(it.to_string()))?;
                let config = ServerConfig::builder_with_provider(provider())
                    .with_protocol_versions(&[&rustls::version::TLS13])
                    .map_err(tls)?
                    .with_client_cert_verifier(verifier)
                    .with_single_cert(chain, key)
                    .map_err(tls)?;
                relay.acceptor = Some(TlsAcceptor::from(Arc::new(config)));
            }
            Tls::Made => {
                let (chain, key) = files.own(Side::Client)?;
                let mut config = ClientConfig::builder_with_provider(provider())
                    .with_protocol_versions(&[&rustls::version::TLS13])
                    .map_err(tls)?
                    .with_root_certificates(files.roots()?)
                    .with_client_auth_cert(chain, key)
                    .map_err(tls)?;
                if args.full_handshakes {
                    config.resumption = Resumption::disabled();
                }
                let name =
                    ServerName::try_from(NAME).map_err(|it| BenchError::Tls(it.to_string()))?;
                relay.connector = Some((TlsConnector::from(Arc::new(config)), name));
            }
        }
        Ok(relay)
    }

    async fn carry(&self, accepted: TcpStream) -> std::io::Result<()> {
        accepted.set_nodelay(true)?;
        match &self.acceptor {
            Some(acceptor) => self.onward(acceptor.accept(accepted).await?).await,
            None => self.onward(accepted).await,
        }
    }

    async fn onward(&self, mut near: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
        let to = self.to[self.turn.fetch_add(1, Relaxed) % self.to.len()];
        let mut far = TcpStream::connect(to).await?;
        far.set_nodelay(true)?;
        match &self.connector {
            Some((connector, name)) => {
                let mut far = connector.connect(name.clone(), far).await?;
                copy_bidirectional(&mut near, &mut far).await?;
            }
            None => {
                copy_bidirectional(&mut near, &mut far).await?;
            }
        }
        Ok(())
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The certificates in their directory.
struct Files {
    directory: PathBuf,
}

impl Files {
    fn own(
        &self,
        side: Side,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), BenchError> {
        let pem = |error: rustls_pki_types::pem::Error| BenchError::Tls(error.to_string());
        let certificate = CertificateDer::from_pem_file(self.directory.join(side.certificate()));
        let key = PrivateKeyDer::from_pem_file(self.directory.join(side.key()));
        Ok((vec![certificate.map_err(pem)?], key.map_err(pem)?))
    }

    fn roots(&self) -> Result<RootCertStore, BenchError> {
        let certificate = CertificateDer::from_pem_file(self.directory.join(CA));
        let certificate = certificate.map_err(|error| BenchError::Tls(error.to_string()))?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate).map_err(|error| BenchError::Tls(error.to_string()))?;
        Ok(roots)
    }
}
