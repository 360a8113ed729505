//! The client of the SPIFFE Workload API: certificates from an agent of this machine, over its Unix socket.
//!
//! By the specifications «The SPIFFE Workload Endpoint» and «The SPIFFE Workload API».

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};

use crate::proto::spiffe::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use crate::proto::spiffe::{X509svidRequest, X509svidResponse};
use crate::retry::BackOff;

/// Says that the caller means this API, and was not led to the socket by somebody else (Workload Endpoint, section 5).
const HEADER: &str = "workload.spiffe.io";
/// The authority of requests; a Unix socket has none.
const AUTHORITY: &str = "http://localhost";
/// How long the agent may take to take a connection.
const CONNECTING: Duration = Duration::from_secs(5);

/// The socket of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket(Arc<Path>);

/// The text names no socket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not the socket of a SPIFFE Workload API: expected unix:///ABSOLUTE/PATH, such as unix:///run/spire/agent.sock"
)]
pub struct SocketError(String);

impl FromStr for Socket {
    type Err = SocketError;

    /// Reads a URI as SPIFFE_ENDPOINT_SOCKET holds it (Workload Endpoint, section 4): the scheme is `unix`, the path
    /// absolute, and there is no authority, query or fragment. TCP, which the specification allows too, is refused: the
    /// private key would go over it in plaintext.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("unix:");
        let path = rest.map(|rest| rest.strip_prefix("//").unwrap_or(rest));
        match path {
            Some(path) if path.starts_with('/') && !path.contains(['?', '#', '\0']) => {
                Ok(Socket(PathBuf::from(path).into()))
            }
            _ => Err(SocketError(text.into())),
        }
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unix://{}", self.0.display())
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkloadApiError {
    /// The agent is not there, has no identity for this process yet, or has ended the stream: it may answer later.
    #[error("the SPIFFE Workload API at {0}: {1}")]
    Away(Socket, String),
    /// The agent says that the same request will never be answered (Workload Endpoint, section 6).
    #[error("the SPIFFE Workload API at {0} refuses the request: {1}")]
    Refused(Socket, String),
}

/// The standing request for X.509 SVIDs of this process.
#[derive(Debug)]
pub struct WorkloadApi {
    socket: Socket,
    channel: Channel,
    stream: Option<Streaming<X509svidResponse>>,
    back_off: BackOff,
    /// To be waited before the next attempt.
    wait: Option<Duration>,
}

impl WorkloadApi {
    /// Asks at this socket, from the first [`WorkloadApi::next`] on.
    pub fn new(socket: Socket) -> Self {
        let channel = channel(&socket);
        WorkloadApi { socket, channel, stream: None, back_off: BackOff::default(), wait: None }
    }

    /// The next answer: the first at once, each further one when something has changed, or when the agent is back. After
    /// an error it may be called again; it then waits a little, longer each time.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub async fn next(&mut self) -> Result<X509svidResponse, WorkloadApiError> {
        if let Some(wait) = self.wait {
            tokio::time::sleep(wait).await;
            self.wait = None;
        }
        match self.answer().await {
            Ok(response) => {
                self.back_off.reset();
                Ok(response)
            }
            Err(status) => {
                self.stream = None;
                self.wait = Some(self.back_off.next(rand::random()));
                let (socket, told) = (self.socket.clone(), innermost(&status));
                Err(match status.code() {
                    Code::InvalidArgument => WorkloadApiError::Refused(socket, told),
                    _ => WorkloadApiError::Away(socket, told),
                })
            }
        }
    }

    async fn answer(&mut self) -> Result<X509svidResponse, Status> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let mut request = Request::new(X509svidRequest {});
                request.metadata_mut().insert(HEADER, MetadataValue::from_static("true"));
                let mut client = SpiffeWorkloadApiClient::new(self.channel.clone());
                let stream = client.fetch_x509svid(request).await?.into_inner();
                self.stream.insert(stream)
            }
        };
        let response = stream.message().await?;
        response.ok_or_else(|| Status::unavailable("the agent has ended the stream"))
    }
}

/// A channel without pings: the kernel tells of a peer's end, and gRPC's Go server, which SPIRE's agent is made with, ends
/// connections that ping more often than each five minutes.
fn channel(socket: &Socket) -> Channel {
    let path = socket.0.clone();
    let connector = tower::service_fn(move |_: Uri| {
        let path = path.clone();
        async move { UnixStream::connect(&path).await.map(TokioIo::new) }
    });
    Endpoint::from_static(AUTHORITY)
        .connect_timeout(CONNECTING)
        .connect_with_connector_lazy(connector)
}

/// What lies at the bottom of an error: "No such file or directory" rather than "transport error".
fn innermost(status: &Status) -> String {
    let mut error: &dyn Error = status;
    while let Some(source) = error.source() {
        error = source;
    }
    match error.downcast_ref::<Status>() {
        Some(status) => format!("{} ({:?})", status.message(), status.code()),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::spiffe::X509svid;

    #[test]
    fn sockets_are_absolute_paths_by_the_scheme_unix() {
        for (text, expected) in [
            ("unix:///run/spire/agent.sock", Some("unix:///run/spire/agent.sock")),
            ("unix:/run/spire/agent.sock", Some("unix:///run/spire/agent.sock")),
            ("/run/spire/agent.sock", None),
            ("unix:agent.sock", None),
            ("unix://agent/agent.sock", None),
            ("unix:///agent.sock?x=1", None),
            ("tcp://127.0.0.1:8000", None),
            ("unix:", None),
            ("", None),
        ] {
            let read = text.parse::<Socket>().ok().map(|socket| socket.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn no_key_is_seen_in_logs() {
        let svid = X509svid { x509_svid_key: b"secret".to_vec(), ..X509svid::default() };
        let seen = format!("{:?}", X509svidResponse { svids: vec![svid], ..Default::default() });
        assert!(!seen.contains("115"), "{seen}");
    }

    #[tokio::test]
    async fn a_socket_that_is_missing_is_named_with_the_reason() {
        let mut api = WorkloadApi::new("unix:///none/agent.sock".parse().unwrap());
        let message = api.next().await.unwrap_err().to_string();
        let expected = "the SPIFFE Workload API at unix:///none/agent.sock: No such file";
        assert!(message.starts_with(expected), "{message}");
    }
}
