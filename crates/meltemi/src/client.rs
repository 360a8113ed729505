//! A client of the control plane's API: one connection, JSON both ways, failures as the server's `Status` objects tell
//! them.

mod address;
mod status;
mod tls;
mod watch;

use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use self::address::{Address, escape};
pub use self::status::Status;
pub use self::tls::Trust;
pub use self::watch::{Event, Watch};
use crate::exit::Failure;

/// How long the control plane may take to accept a connection, and to answer a request in full.
const CONNECT_TIME: Duration = Duration::from_secs(5);
const ANSWER_TIME: Duration = Duration::from_secs(60);
/// How this client is told from others in logs.
const AGENT: &str = concat!("meltemi/", env!("CARGO_PKG_VERSION"));
/// Objects as they are.
pub const JSON: &str = "application/json";
/// Objects as rows for people.
pub const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
/// The body of a server-side apply; JSON is YAML.
pub const APPLY: &str = "application/apply-patch+yaml";

/// Why a request brought no answer to work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers.
    #[error(
        "no control plane answers at {url} ({why}): start one with `meltemi control`, or say where it is with --api"
    )]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What happened.
        why: String,
    },
    /// The connection broke, or no answer came in time.
    #[error(
        "{url} did not answer {request} ({why}): see the log of `meltemi control`, and try again"
    )]
    Broken {
        /// Who was asked.
        url: String,
        /// Method and path.
        request: String,
        /// What happened.
        why: String,
    },
    /// What answers is not a control plane of ours.
    #[error("{url} answered {request} with {what}: is this the API of a control plane?")]
    Foreign {
        /// Who was asked.
        url: String,
        /// Method and path.
        request: String,
        /// What came.
        what: String,
    },
    /// The server refused.
    #[error("{0}")]
    Refused(Status),
}

impl ClientError {
    /// What the server said, if it was the server that refused.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Refused(status) => Some(status),
            _ => None,
        }
    }

    /// Whether the thing that was asked for is not there.
    pub fn is_not_found(&self) -> bool {
        self.status().is_some_and(|status| status.code == StatusCode::NOT_FOUND.as_u16())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let is_token =
            error.status().is_some_and(|it| it.code == StatusCode::UNAUTHORIZED.as_u16());
        let hint = if is_token { "; name the file of the right one with --token-file" } else { "" };
        Self::Failed(format!("{error}{hint}"))
    }
}

/// A good answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Whether the object was made by this request.
    pub created: bool,
    /// What came.
    pub body: Value,
}

/// A connection to the API, made when it is first used, and anew when it is lost between two requests.
#[derive(Debug)]
pub struct Client {
    address: Address,
    token: Option<String>,
    trust: Option<Trust>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// A client for this address. Without a token only what is open to all can be asked.
    pub fn new(address: Address, token: Option<String>) -> Self {
        Self { address, token, trust: None, sender: None }
    }

    /// The same with roots to trust; without them nothing can be asked over TLS.
    #[must_use]
    pub fn with_trust(mut self, trust: Option<Trust>) -> Self {
        self.trust = trust;
        self
    }

    /// `GET`, in a form such as [`JSON`] or [`TABLE`].
    pub async fn get(&mut self, path: &str, accept: &str) -> Result<Value, ClientError> {
        let request = self.request(Method::GET, path).header(ACCEPT, accept);
        Ok(self.ask(request, Bytes::new()).await?.body)
    }

    /// `GET` of a text that is not JSON.
    pub async fn text(&mut self, path: &str) -> Result<String, ClientError> {
        let request = self.request(Method::GET, path);
        let (status, body) = self.send(request, Bytes::new()).await?;
        let text = String::from_utf8_lossy(&body).into_owned();
        if status.is_success() {
            return Ok(text);
        }
        Err(self.refusal(&format!("GET {path}"), status, &body))
    }

    /// `PUT`: the object as it is to be.
    pub async fn put(&mut self, path: &str, object: &Value) -> Result<Answer, ClientError> {
        let request = self.request(Method::PUT, path).header(CONTENT_TYPE, JSON);
        self.ask(request, Bytes::from(object.to_string())).await
    }

    /// `POST`: a new object.
    pub async fn post(&mut self, path: &str, object: &Value) -> Result<Answer, ClientError> {
        let request = self.request(Method::POST, path).header(CONTENT_TYPE, JSON);
        self.ask(request, Bytes::from(object.to_string())).await
    }

    /// `PATCH` of a kind such as [`APPLY`].
    pub async fn patch(
        &mut self,
        path: &str,
        kind: &str,
        patch: &Value,
    ) -> Result<Answer, ClientError> {
        let request = self.request(Method::PATCH, path).header(CONTENT_TYPE, kind);
        self.ask(request, Bytes::from(patch.to_string())).await
    }

    /// `DELETE`, with `DeleteOptions` or null.
    pub async fn delete(&mut self, path: &str, options: &Value) -> Result<Answer, ClientError> {
        let request = self.request(Method::DELETE, path).header(CONTENT_TYPE, JSON);
        let body = if options.is_null() { String::new() } else { options.to_string() };
        self.ask(request, Bytes::from(body)).await
    }

    /// Opens a watch, on a connection of its own.
    pub async fn watch(&self, path: &str, accept: &str) -> Result<Watch, ClientError> {
        let told = format!("GET {path}");
        let request = self.request(Method::GET, path).header(ACCEPT, accept);
        let request = self.build(request, Bytes::new())?;
        let mut sender = self.connect().await?;
        let response = timeout(ANSWER_TIME, sender.send_request(request))
            .await
            .map_err(|_| self.broken(&told, "no answer came in time"))?
            .map_err(|error| self.broken(&told, error))?;
        if response.status().is_success() {
            return Ok(Watch::new(self.address.to_string(), told, response.into_body(), sender));
        }
        let (status, body) = self.collect(&told, response).await?;
        Err(self.refusal(&told, status, &body))
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.address.authority())
            .header(USER_AGENT, AGENT);
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }

    fn build(
        &self,
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        request.body(Full::new(body)).map_err(|error| ClientError::Broken {
            url: self.address.to_string(),
            request: "a request".to_owned(),
            why: format!("it cannot be written: {error}"),
        })
    }

    /// Sends a request whose answer is JSON.
    async fn ask(
        &mut self,
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<Answer, ClientError> {
        let told = tell(&request);
        let (status, body) = self.send(request, body).await?;
        if !status.is_success() {
            return Err(self.refusal(&told, status, &body));
        }
        let value = serde_json::from_slice(&body).map_err(|_| self.foreign(&told, status))?;
        Ok(Answer { created: status == StatusCode::CREATED, body: value })
    }

    async fn send(
        &mut self,
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let told = tell(&request);
        let request = self.build(request, body)?;
        let mut sender = self.reuse_or_connect().await?;
        let response = timeout(ANSWER_TIME, sender.send_request(request))
            .await
            .map_err(|_| self.broken(&told, "no answer came in time"))?
            .map_err(|error| self.broken(&told, error))?;
        let answer = self.collect(&told, response).await?;
        self.sender = Some(sender);
        Ok(answer)
    }

    async fn reuse_or_connect(&mut self) -> Result<SendRequest<Full<Bytes>>, ClientError> {
        if let Some(mut sender) = self.sender.take()
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        self.connect().await
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, ClientError> {
        let unreachable =
            |why: String| ClientError::Unreachable { url: self.address.to_string(), why };
        let stream = timeout(CONNECT_TIME, TcpStream::connect(self.address.pair()))
            .await
            .map_err(|_| unreachable("no connection came about in time".to_owned()))?
            .map_err(|error| unreachable(error.to_string()))?;
        if !self.address.is_secure() {
            return converse(stream).await.map_err(|error| unreachable(error.to_string()));
        }
        let trust = self.trust.as_ref().ok_or_else(|| {
            unreachable(
                "over TLS the mesh's roots are needed: name them with --trust-bundle".to_owned(),
            )
        })?;
        let stream = timeout(CONNECT_TIME, trust.connect(stream))
            .await
            .map_err(|_| unreachable("no TLS handshake came about in time".to_owned()))?
            .map_err(|error| unreachable(format!("TLS: {error}")))?;
        converse(stream).await.map_err(|error| unreachable(error.to_string()))
    }

    async fn collect(
        &self,
        told: &str,
        response: Response<Incoming>,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let status = response.status();
        let body = timeout(ANSWER_TIME, response.into_body().collect())
            .await
            .map_err(|_| self.broken(told, "its answer did not end in time"))?
            .map_err(|error| self.broken(told, error))?;
        Ok((status, body.to_bytes()))
    }

    fn refusal(&self, told: &str, code: StatusCode, body: &[u8]) -> ClientError {
        match Status::read(body) {
            Some(status) => ClientError::Refused(status),
            None => self.foreign(told, code),
        }
    }

    fn foreign(&self, told: &str, code: StatusCode) -> ClientError {
        ClientError::Foreign {
            url: self.address.to_string(),
            request: told.to_owned(),
            what: format!("HTTP {code} and a body that is not the API's"),
        }
    }

    fn broken(&self, told: &str, why: impl ToString) -> ClientError {
        ClientError::Broken {
            url: self.address.to_string(),
            request: told.to_owned(),
            why: why.to_string(),
        }
    }
}

async fn converse<Io: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: Io,
) -> hyper::Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Its errors reach the sender, too.
    tokio::spawn(connection);
    Ok(sender)
}

fn tell(request: &http::request::Builder) -> String {
    let method = request.method_ref().map(Method::as_str).unwrap_or_default();
    let path = request.uri_ref().map(http::Uri::path).unwrap_or_default();
    format!("{method} {path}")
}
