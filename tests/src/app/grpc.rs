//! A gRPC application with all four kinds of calls, and the health service.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use futures_util::{Stream, StreamExt, stream};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::calls::calls_server::{Calls, CallsServer};
use crate::calls::{Answer, Ask};
use crate::health::health_check_response::ServingStatus;
use crate::health::health_server::{Health, HealthServer};
use crate::health::{HealthCheckRequest, HealthCheckResponse};

/// The application.
#[derive(Debug)]
pub struct GrpcApp {
    address: SocketAddr,
    task: JoinHandle<()>,
    calls: Arc<Counts>,
    serving: Serving,
}

/// Whether the service of this name serves; others are not known.
#[derive(Debug, Clone)]
struct Serving {
    service: String,
    status: Arc<AtomicI32>,
}

#[derive(Debug)]
struct Counts {
    hanging: watch::Sender<usize>,
    given_up: watch::Sender<usize>,
}

impl GrpcApp {
    /// Starts an instance.
    ///
    /// # Panics
    /// Without a free port.
    pub async fn start(name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let calls =
            Arc::new(Counts { hanging: watch::Sender::new(0), given_up: watch::Sender::new(0) });
        let service = Service { name: name.to_owned(), calls: calls.clone() };
        let status = Arc::new(AtomicI32::new(ServingStatus::Serving.into()));
        let serving = Serving { service: name.to_owned(), status };
        let server = Server::builder()
            .add_service(CallsServer::new(service))
            .add_service(HealthServer::new(serving.clone()));
        let running = server.serve_with_incoming(TcpListenerStream::new(listener));
        let task = tokio::spawn(async move { running.await.expect("the server serves") });
        GrpcApp { address, task, calls, serving }
    }

    /// The service alone, for a server that somebody else runs.
    pub fn service(name: &str) -> CallsServer<impl Calls> {
        let calls = Counts { hanging: watch::Sender::new(0), given_up: watch::Sender::new(0) };
        CallsServer::new(Service { name: name.to_owned(), calls: Arc::new(calls) })
    }

    /// Has the health service say of the service that is called as the instance whether it serves.
    pub fn set_serving(&self, serves: bool) {
        let status = if serves { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.serving.status.store(status.into(), Ordering::SeqCst);
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Tells how many calls hang.
    pub fn hanging(&self) -> watch::Receiver<usize> {
        self.calls.hanging.subscribe()
    }

    /// Tells how many hanging calls the caller gave up.
    pub fn given_up(&self) -> watch::Receiver<usize> {
        self.calls.given_up.subscribe()
    }
}

impl Drop for GrpcApp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct Service {
    name: String,
    calls: Arc<Counts>,
}

/// Counts a call as given up when it is dropped.
struct Hanging(Arc<Counts>);

impl Drop for Hanging {
    fn drop(&mut self) {
        self.0.given_up.send_modify(|count| *count += 1);
    }
}

impl Service {
    async fn hang(&self) {
        let _hanging = Hanging(self.calls.clone());
        self.calls.hanging.send_modify(|count| *count += 1);
        std::future::pending().await
    }

    fn answer(&self, metadata: &MetadataMap, text: String, asked: u32) -> Answer {
        let mut own: Vec<String> = metadata
            .as_ref()
            .iter()
            .filter(|(name, _)| name.as_str().starts_with("x-own"))
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or_default()))
            .collect();
        own.sort();
        let timeout = metadata.get("grpc-timeout").and_then(|it| it.to_str().ok());
        Answer {
            text,
            served_by: self.name.clone(),
            timeout: timeout.unwrap_or_default().to_owned(),
            asked,
            own,
        }
    }
}

/// The status that a request asks for, with metadata that must arrive as trailers.
fn failure(ask: &Ask) -> Option<Status> {
    if ask.fail_code == 0 {
        return None;
    }
    let code = Code::from_i32(ask.fail_code.cast_signed());
    let mut status = Status::new(code, ask.text.clone());
    status.metadata_mut().insert("x-detail", "from the application".parse().expect("ASCII"));
    Some(status)
}

#[tonic::async_trait]
impl Health for Serving {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if request.get_ref().service != self.service {
            return Err(Status::not_found("no such service"));
        }
        let status = self.status.load(Ordering::SeqCst);
        Ok(Response::new(HealthCheckResponse { status }))
    }
}

type Answers = Pin<Box<dyn Stream<Item = Result<Answer, Status>> + Send>>;

#[tonic::async_trait]
impl Calls for Service {
    async fn unary(&self, request: Request<Ask>) -> Result<Response<Answer>, Status> {
        let (metadata, _, ask) = request.into_parts();
        if ask.hang {
            self.hang().await;
        }
        match failure(&ask) {
            Some(status) => Err(status),
            None => Ok(Response::new(self.answer(&metadata, ask.text, 1))),
        }
    }

    type ServerStreamStream = Answers;

    async fn server_stream(&self, request: Request<Ask>) -> Result<Response<Answers>, Status> {
        let (metadata, _, ask) = request.into_parts();
        let answer = self.answer(&metadata, ask.text.clone(), 1);
        let answers = stream::iter((0..ask.answers).map(move |_| Ok(answer.clone())));
        let end = stream::iter(failure(&ask).map(Err));
        Ok(Response::new(Box::pin(answers.chain(end))))
    }

    async fn client_stream(
        &self,
        request: Request<Streaming<Ask>>,
    ) -> Result<Response<Answer>, Status> {
        let (metadata, _, mut asks) = request.into_parts();
        let (mut texts, mut asked) = (String::new(), 0);
        while let Some(ask) = asks.message().await? {
            texts.push_str(&ask.text);
            asked += 1;
        }
        Ok(Response::new(self.answer(&metadata, texts, asked)))
    }

    type BidiStream = Answers;

    async fn bidi(&self, request: Request<Streaming<Ask>>) -> Result<Response<Answers>, Status> {
        let (metadata, _, asks) = request.into_parts();
        let template = self.answer(&metadata, String::new(), 0);
        let answers = asks.enumerate().map(move |(at, ask)| {
            let ask = ask?;
            match failure(&ask) {
                Some(status) => Err(status),
                None => Ok(Answer { text: ask.text, asked: at as u32 + 1, ..template.clone() }),
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }
}
