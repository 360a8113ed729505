//! A SPIFFE bundle endpoint: it tells a text over HTTPS, with a certificate for `localhost` that it has signed itself.

use std::convert::Infallible;
use std::sync::Arc;

use http::Response;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::Server;

/// The endpoint.
#[derive(Debug)]
pub struct BundleEndpoint {
    server: Server,
    document: Arc<Mutex<String>>,
    root: String,
}

impl BundleEndpoint {
    /// Starts one that tells `document`.
    ///
    /// # Panics
    /// If it cannot be started.
    pub async fn start(document: &str) -> BundleEndpoint {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
        let chain = vec![pair.cert.der().clone()];
        let key = pair.signing_key.serialize_der().try_into().expect("a key");
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
        let tls = TlsAcceptor::from(Arc::new(config.expect("a configuration")));
        let document = Arc::new(Mutex::new(document.to_owned()));
        let told = document.clone();
        let server = Server::start(move |stream| {
            let (told, tls) = (told.clone(), tls.clone());
            async move {
                let Ok(stream) = tls.accept(stream).await else { return };
                let service = service_fn(move |_| {
                    let response = Response::new(told.lock().clone());
                    async move { Ok::<_, Infallible>(response) }
                });
                let http = hyper::server::conn::http1::Builder::new();
                // A client that goes away is no fault of ours.
                drop(http.serve_connection(TokioIo::new(stream), service).await);
            }
        })
        .await;
        BundleEndpoint { server, document, root: pair.cert.pem() }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("https://localhost:{}/bundle", self.server.address.port())
    }

    /// What clients must trust to ask it, PEM.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Tells another text from now on.
    pub fn tell(&self, document: &str) {
        document.clone_into(&mut self.document.lock());
    }
}
