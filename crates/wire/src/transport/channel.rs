//! The calling side: a channel that connects when it is used, again after each break, always with the TLS
//! configuration of that moment.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::Uri;
use hyper_util::rt::TokioIo;
use meltemi_identity::tls;
use meltemi_names::SpiffeId;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::transport::{Channel, Endpoint};

/// How long connecting may take, TLS included.
const CONNECTING: Duration = Duration::from_secs(5);
/// How often a peer that says nothing is asked whether it is there.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(10);
/// How long it may take to answer.
pub(crate) const PING_ANSWER: Duration = Duration::from_secs(5);
/// The authority of requests to a control plane whose address is not fixed.
const NAMELESS: &str = "http://control-plane";

/// Gives the TLS configuration for the next connection, so that a renewed certificate is used from then on. It must
/// offer `h2` by ALPN.
pub type TlsSource = Arc<dyn Fn() -> Arc<ClientConfig> + Send + Sync>;

/// Where a control plane listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    host: String,
    port: u16,
}

/// The text names no control plane.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the address of a control plane: expected HOST:PORT or https://HOST:PORT")]
pub struct TargetError(String);

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || TargetError(text.into());
        let authority = text.strip_prefix("https://").unwrap_or(text).trim_end_matches('/');
        let authority: http::uri::Authority = authority.parse().map_err(|_| wrong())?;
        let port = authority.port_u16().filter(|port| *port != 0).ok_or_else(wrong)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || authority.as_str().contains('@') {
            return Err(wrong());
        }
        Ok(Target { host, port })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Gives the address for the next connection: a control plane that was started again may be found at another one. The
/// error is what the caller of the channel is told.
pub type TargetSource = Arc<dyn Fn() -> io::Result<Target> + Send + Sync>;

/// A channel to a control plane that must prove to be `expected`. Nothing is connected before its first use. A dead peer
/// is noticed within 15 s by HTTP/2 pings.
pub fn channel(target: &Target, tls: TlsSource, expected: SpiffeId) -> Channel {
    let to = target.clone();
    connecting(endpoint(target), Arc::new(move || Ok(to.clone())), tls, expected)
}

/// As [`channel`], to wherever the control plane is found at the moment of each connection.
pub fn moving_channel(target: TargetSource, tls: TlsSource, expected: SpiffeId) -> Channel {
    connecting(tuned(Endpoint::from_static(NAMELESS)), target, tls, expected)
}

fn connecting(
    endpoint: Endpoint,
    target: TargetSource,
    tls: TlsSource,
    expected: SpiffeId,
) -> Channel {
    let expected = Arc::new(expected);
    let connector = tower::service_fn(move |_: Uri| {
        let (to, tls, expected) = (target(), tls(), expected.clone());
        async move {
            let to = to?;
            let attempt = connect(&to, tls, &expected);
            match tokio::time::timeout(CONNECTING, attempt).await {
                Ok(connected) => connected.map(TokioIo::new),
                Err(_) => Err(error(&to, io::ErrorKind::TimedOut, "no answer in 5 s")),
            }
        }
    });
    endpoint.connect_with_connector_lazy(connector)
}

/// A channel without TLS, for discovery on the same machine.
pub fn plaintext_channel(target: &Target) -> Channel {
    let to = target.clone();
    let connector = tower::service_fn(move |_: Uri| {
        let to = to.clone();
        async move { dial(&to).await.map(TokioIo::new) }
    });
    endpoint(target).connect_with_connector_lazy(connector)
}

fn endpoint(target: &Target) -> Endpoint {
    // The authority of a valid target is a valid URI; the fixed one is never used.
    let endpoint = Endpoint::from_shared(format!("http://{target}"))
        .unwrap_or_else(|_| Endpoint::from_static(NAMELESS));
    tuned(endpoint)
}

fn tuned(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(CONNECTING)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_ANSWER)
        .keep_alive_while_idle(true)
        .initial_connection_window_size(4 * 1024 * 1024)
        .initial_stream_window_size(2 * 1024 * 1024)
}

async fn dial(to: &Target) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((to.host.as_str(), to.port))
        .await
        .map_err(|cause| error(to, cause.kind(), cause))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn connect(
    to: &Target,
    config: Arc<ClientConfig>,
    expected: &SpiffeId,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(to.host.clone())
        .map_err(|cause| error(to, io::ErrorKind::InvalidInput, cause))?;
    let stream = TlsConnector::from(config)
        .connect(name, dial(to).await?)
        .await
        .map_err(|cause| error(to, cause.kind(), cause))?;
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    // The verifier of a workload's configuration accepts every member of the mesh.
    let refused = |cause: tls::PeerError| error(to, io::ErrorKind::PermissionDenied, cause);
    tls::authenticate(certificates, SystemTime::now()).map_err(refused)?;
    tls::expect(certificates, expected).map_err(refused)?;
    Ok(stream)
}

fn error(to: &Target, kind: io::ErrorKind, cause: impl fmt::Display) -> io::Error {
    io::Error::new(kind, format!("connecting to the control plane at {to}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_hosts_with_ports() {
        for (text, expected) in [
            ("127.0.0.1:15012", Some("127.0.0.1:15012")),
            ("https://mesh.example.com:15012", Some("mesh.example.com:15012")),
            ("https://mesh.example.com:15012/", Some("mesh.example.com:15012")),
            ("[::1]:15012", Some("[::1]:15012")),
            ("http://mesh.example.com:15012", None),
            ("mesh.example.com", None),
            ("mesh.example.com:0", None),
            ("mesh.example.com:70000", None),
            ("user@mesh.example.com:1", None),
            (":15012", None),
            ("", None),
        ] {
            let read = text.parse::<Target>().ok().map(|target| target.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }
}
