//! Whom the client takes for the control plane: who proves its SPIFFE id by the mesh's roots. Names and addresses do not
//! count, so that it may be reached by any.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use meltemi_identity::TrustBundle;
use meltemi_identity::ca::control_plane_id;
use meltemi_identity::tls::bootstrap_client_config;
use meltemi_names::TrustDomain;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::exit::Failure;

/// Roots and the name that has to be proved by them.
#[derive(Clone)]
pub struct Trust {
    config: Arc<ClientConfig>,
    /// The roots, PEM.
    pem: String,
}

impl Trust {
    /// Trusts the roots of a file.
    pub fn load(path: &Path, trust_domain: &TrustDomain) -> Result<Self, Failure> {
        let place = path.display();
        let bundle = TrustBundle::load(path)
            .map_err(|error| Failure::Failed(format!("--trust-bundle {place}: {error}")))?;
        Self::new(&bundle, trust_domain)
    }

    /// Trusts these roots.
    pub fn new(bundle: &TrustBundle, trust_domain: &TrustDomain) -> Result<Self, Failure> {
        let failed = |error: &dyn fmt::Display| Failure::Failed(format!("TLS: {error}"));
        let id = control_plane_id(trust_domain).map_err(|error| failed(&error))?;
        let config = bootstrap_client_config(bundle, id, vec![b"http/1.1".to_vec()])
            .map_err(|error| failed(&error))?;
        Ok(Trust { config, pem: bundle.to_pem() })
    }

    /// The roots, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub(super) async fn connect(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        // What is verified is the SPIFFE id; the name is sent, and this one says nothing.
        let name =
            ServerName::try_from("istiod.istio-system.svc").map_err(std::io::Error::other)?;
        TlsConnector::from(self.config.clone()).connect(name, stream).await
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust(..)")
    }
}
