//! One fetch of keys: the address is checked, then asked, within its time and without more than is good.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use meltemi_identity::tls::{OriginationError, OriginationSettings};
use meltemi_model::KeySource;
use meltemi_policy::jwt::{KeySet, KeySetError};
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::allow::{JwksAllow, is_allowed};

/// The longest answer that is read, bytes: key sets have a few thousand, and go to every proxy.
const MAX_BODY: usize = 256 * 1024;
/// The longest head of an answer, bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Where an issuer tells of itself (OpenID Connect Discovery 1.0, section 4.1).
const CONFIGURATION: &str = "/.well-known/openid-configuration";

/// Why keys could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error(
        "`{0}` is not an address that can be asked: `https://HOST/PATH` or `http://HOST/PATH`, without a user"
    )]
    Address(String),
    #[error("{host} cannot be resolved: {source}")]
    Resolve { host: String, source: std::io::Error },
    #[error(
        "{host} is at {address}, which is not a public address; if it is to be asked, start the control plane with --jwks-allow {host}"
    )]
    NotAllowed { host: String, address: IpAddr },
    #[error("{host} cannot be connected: {source}")]
    Connect { host: String, source: std::io::Error },
    #[error(transparent)]
    Tls(#[from] OriginationError),
    #[error("{host} is not trusted over TLS, or speaks none: {source}")]
    Handshake { host: String, source: std::io::Error },
    #[error("the exchange with {host} failed: {source}")]
    Http { host: String, source: hyper::Error },
    #[error("{host} answered {status}, not 200; redirects are not followed")]
    Status { host: String, status: StatusCode },
    #[error("the answer of {host} is no text, broke off, or is longer than 256 KiB")]
    Body { host: String },
    #[error("what came is no key set: {0}")]
    Keys(#[from] KeySetError),
    #[error("the issuer's configuration at {0} is no JSON with `issuer` and `jwks_uri`")]
    Configuration(String),
    #[error("the configuration at {uri} is of the issuer `{found}`")]
    OtherIssuer { uri: String, found: String },
    #[error("there was no answer within {0:?}")]
    Timeout(Duration),
}

/// Fetches keys.
#[derive(Debug)]
pub(crate) struct Fetcher {
    allowed: Vec<JwksAllow>,
}

/// An address, taken apart.
struct Target {
    is_tls: bool,
    /// Without the brackets of IPv6.
    host: String,
    port: u16,
    authority: String,
    path: String,
}

impl Fetcher {
    pub(crate) fn new(allowed: &[JwksAllow]) -> Self {
        Fetcher { allowed: allowed.to_vec() }
    }

    /// Fetches the key set of a source: what proxies need of it.
    pub(super) async fn fetch(
        &self,
        source: &KeySource,
        timeout: Duration,
    ) -> Result<String, FetchError> {
        let fetched = async {
            let text = match source {
                KeySource::Uri(uri) => self.get(uri).await?,
                KeySource::Issuer(issuer) => self.get(&self.discover(issuer).await?).await?,
            };
            Ok(KeySet::public_part(&text)?)
        };
        match tokio::time::timeout(timeout, fetched).await {
            Ok(result) => result,
            Err(_) => Err(FetchError::Timeout(timeout)),
        }
    }

    /// Asks an issuer where its keys are. It must be the issuer that answers (OpenID Connect Discovery 1.0, section 4.3).
    async fn discover(&self, issuer: &str) -> Result<String, FetchError> {
        let uri = format!("{}{CONFIGURATION}", issuer.trim_end_matches('/'));
        let text = self.get(&uri).await?;
        let configuration: Value = serde_json::from_str(&text).unwrap_or_default();
        match (configuration["issuer"].as_str(), configuration["jwks_uri"].as_str()) {
            (Some(found), Some(keys)) if found == issuer => Ok(keys.to_owned()),
            (Some(found), Some(_)) => Err(FetchError::OtherIssuer { uri, found: found.to_owned() }),
            _ => Err(FetchError::Configuration(uri)),
        }
    }

    /// Fetches a text: by HTTPS where the address says so, the server checked by the system's roots.
    pub(crate) async fn get(&self, uri: &str) -> Result<String, FetchError> {
        let target = Target::parse(uri)?;
        let stream = self.connect(&target).await?;
        if !target.is_tls {
            return target.ask(stream).await;
        }
        let alpn = [vec![b"http/1.1".to_vec()]];
        let mut configs = OriginationSettings::default().client_configs(&alpn)?;
        let (Some(config), Ok(name)) = (configs.pop(), ServerName::try_from(target.host.clone()))
        else {
            return Err(FetchError::Address(uri.to_owned()));
        };
        let secured = TlsConnector::from(config).connect(name, stream).await;
        let host = || target.host.clone();
        target.ask(secured.map_err(|source| FetchError::Handshake { host: host(), source })?).await
    }

    /// Connects one of the host's addresses that may be asked: to the very address that was looked at, so that a name server
    /// cannot say another one in between.
    async fn connect(&self, target: &Target) -> Result<TcpStream, FetchError> {
        let host = || target.host.clone();
        let resolved = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
        let resolved: Vec<SocketAddr> =
            resolved.map_err(|source| FetchError::Resolve { host: host(), source })?.collect();
        let is_good = |it: &&SocketAddr| is_allowed(&self.allowed, &target.host, it.ip());
        let mut last = match resolved.iter().find(|it| !is_good(it)) {
            Some(other) => FetchError::NotAllowed { host: host(), address: other.ip() },
            None => {
                let source = std::io::Error::other("its name has no address");
                FetchError::Resolve { host: host(), source }
            }
        };
        for address in resolved.iter().filter(is_good) {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(source) => last = FetchError::Connect { host: host(), source },
            }
        }
        Err(last)
    }
}

impl Target {
    fn parse(text: &str) -> Result<Target, FetchError> {
        let wrong = || FetchError::Address(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || authority.as_str().contains('@') {
            return Err(wrong());
        }
        Ok(Target {
            is_tls,
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            authority: authority.to_string(),
            path: uri.path_and_query().map_or("/", |it| it.as_str()).to_owned(),
        })
    }

    /// Asks over a connection: one request, one answer.
    async fn ask<S>(&self, stream: S) -> Result<String, FetchError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let failed = |source| FetchError::Http { host: self.host.clone(), source };
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MAX_HEAD);
        let (mut sender, connection) =
            builder.handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let request = Request::get(&self.path)
            .header(HOST, &self.authority)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("meltemi/", env!("CARGO_PKG_VERSION")))
            .body(Empty::<Bytes>::new())
            .map_err(|_| FetchError::Address(self.path.clone()))?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(failed)?;
            let (host, status) = (self.host.clone(), response.status());
            if status != StatusCode::OK {
                return Err(FetchError::Status { host, status });
            }
            let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
            let text = body.ok().and_then(|it| String::from_utf8(it.to_bytes().into()).ok());
            text.ok_or(FetchError::Body { host })
        };
        // The connection's own end is told by the exchange; dropping it closes the stream.
        tokio::pin!(connection);
        tokio::pin!(exchange);
        tokio::select! {
            biased;
            answer = &mut exchange => answer,
            _ = &mut connection => exchange.await,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
