//! A service of this program: registered, it is called by others and calls them, each with its own identity.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use meltemi_names::{
    Protocol, is_dns_label, is_dns_subdomain, is_label_key, is_label_value, is_peer_address,
};
use meltemi_proxy::in_process::{Body, Handlers};
use meltemi_proxy::start::AppPort;

use crate::BoxError;
use crate::call;
use crate::channel::{Channel, Whose};
use crate::control::Token;
use crate::error::Error;
use crate::handler::{Handler, HandlerFn};
use crate::member::{Home, Member, Who};
use crate::mesh::{Mesh, check};

/// A service that is about to be registered.
#[derive(Debug, Clone)]
pub struct Service {
    name: String,
    port: u16,
    protocol: Protocol,
    service_account: Option<String>,
    token: Option<Token>,
    labels: BTreeMap<String, String>,
    handler: Option<Handler>,
}

impl Service {
    /// An instance of a service, with the port by which callers know it. Without a handler its requests go to the
    /// application on this port of 127.0.0.1.
    pub fn new(name: &str, port: u16) -> Service {
        Service {
            name: name.into(),
            port,
            protocol: Protocol::Http,
            service_account: None,
            token: None,
            labels: BTreeMap::new(),
            handler: None,
        }
    }

    /// Has requests served in this process: by an axum router, a tonic service, or any other `tower::Service`.
    pub fn handler<S, B>(mut self, service: S) -> Service
    where
        S: tower_service::Service<Request<Incoming>, Response = Response<B>>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.handler = Some(Handler::new(service));
        self
    }

    /// Has requests served in this process by a function.
    pub fn handler_fn<F, O, B>(self, serve: F) -> Service
    where
        F: Fn(Request<Incoming>) -> O + Clone + Send + Sync + 'static,
        O: Future<Output = Response<B>> + Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.handler(HandlerFn(serve))
    }

    /// Says what is spoken: `http` (if nothing is said), `http2`, `grpc`, or, for an application of its own, `tcp`.
    ///
    /// # Errors
    /// When it is no protocol.
    pub fn protocol(mut self, name: &str) -> Result<Service, Error> {
        self.protocol = Protocol::parse(name).ok_or_else(|| {
            Error::Settings(format!("`{name}` is no protocol: http, http2, grpc, tcp"))
        })?;
        Ok(self)
    }

    /// The service account that its identity is of. If not said it is the token's, or, where there is none, the service's
    /// own name, so that policies tell services apart.
    pub fn service_account(mut self, name: &str) -> Service {
        self.service_account = Some(name.into());
        self
    }

    /// What lets this instance in, where the mesh's own token has run out since, or is for another service account.
    pub fn token(mut self, token: impl Into<Token>) -> Service {
        self.token = Some(token.into());
        self
    }

    /// A label of this instance, `version` say.
    pub fn label(mut self, key: &str, value: &str) -> Service {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Registers the instance at an address at which peers reach this machine. When it returns, calls of this program find it,
    /// those of all that is registered with the same mesh; other programs that call the service already learn of it as soon
    /// as the control plane's word has reached them.
    ///
    /// # Errors
    /// [`Error::Settings`] at once where a name, a label, the port or the address is none, [`Error::ControlPlane`] when there is
    /// no control plane, [`Error::Refused`] when it does not take the instance.
    pub async fn register(self, mesh: &Mesh, ip: IpAddr) -> Result<Registered, Error> {
        let claimed = match &self.token {
            Some(token) => token.claims().map(|it| it.service_account),
            None => mesh.inner.service_account.clone(),
        };
        let account = self.service_account.or(claimed).unwrap_or_else(|| self.name.clone());
        check("service", &self.name, is_dns_label)?;
        check("service account", &account, is_dns_subdomain)?;
        if self.port == 0 {
            return Err(Error::Settings("the port of a service is from 1 to 65535".into()));
        }
        check_labels(&self.labels)?;
        check_address(ip)?;
        let mut handlers = Handlers::default();
        if let Some(handler) = self.handler {
            tokio::spawn(handler.run(handlers.serve(self.port)));
        }
        let who = Who {
            stem: self.name.clone(),
            service: Some(self.name.clone()),
            service_account: account,
            address: ip,
            ports: vec![AppPort { number: self.port, protocol: self.protocol }],
            labels: self.labels,
        };
        let mut home: Home = mesh.inner.home.clone();
        if let Some(token) = self.token {
            home.token = token;
        }
        let member = Member::start(&home, who, handlers).await?;
        mesh.inner.members.add(&member).await;
        let name = self.name;
        Ok(Registered(Arc::new(Inner { member, name, port: self.port, mesh: mesh.clone() })))
    }
}

/// Labels that no selector could choose by are refused.
fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), Error> {
    let wrong = labels.iter().find(|(key, value)| !is_label_key(key) || !is_label_value(value));
    match wrong {
        None => Ok(()),
        Some((key, value)) => Err(Error::Settings(format!(
            "`{key}: {value}` is no label: `[DOMAIN/]NAME` and a value, both at most 63 letters, digits, `-`, `_` and `.` with a letter or digit at both ends"
        ))),
    }
}

/// As the registry has it: an address that peers can connect to.
fn check_address(ip: IpAddr) -> Result<(), Error> {
    match is_peer_address(ip) {
        true => Ok(()),
        false => Err(Error::Settings(format!("`{ip}` is no address that peers can connect to"))),
    }
}

/// A registered instance. Clones share it; when the last one is dropped, it leaves the registry: at once, but for a second at
/// most in which the control plane is told what became of its last calls.
#[derive(Debug, Clone)]
pub struct Registered(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    member: Member,
    name: String,
    port: u16,
    /// Held, so that a control plane in this process outlives what is registered with it.
    mesh: Mesh,
}

impl Registered {
    /// Calls a service with this instance's own identity; else as [`Mesh::call`].
    ///
    /// # Errors
    /// As [`Mesh::call`].
    pub async fn call<B>(&self, request: Request<B>) -> Result<Response<Body>, Error>
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        call::call(&self.0.member, request).await
    }

    /// The same; the answer's body is read, up to so many bytes.
    ///
    /// # Errors
    /// As [`Mesh::call_whole`].
    pub async fn call_whole<B>(
        &self,
        request: Request<B>,
        limit: usize,
    ) -> Result<Response<Bytes>, Error>
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        call::whole(self.call(request).await?, limit).await
    }

    pub(crate) fn member(&self) -> &Member {
        &self.0.member
    }

    /// The service's name.
    pub fn service(&self) -> &str {
        &self.0.name
    }

    /// The service's port.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// The name of the instance, `NAMESPACE/NAME`.
    pub fn name(&self) -> &str {
        self.0.member.name()
    }

    /// Its identity, `spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT`.
    pub fn id(&self) -> String {
        self.0.member.id()
    }

    /// Where the mesh reaches it.
    pub fn inbound(&self) -> SocketAddr {
        self.0.member.inbound()
    }

    /// The mesh that it is registered with.
    pub fn mesh(&self) -> &Mesh {
        &self.0.mesh
    }

    /// Takes the instance out when this is its last clone, and waits until the control plane knows what became of its last
    /// calls, for a second at most. A program that ends right afterwards has told all.
    pub async fn close(self) {
        self.0.member.close().await;
    }

    /// A way to one service, as [`Mesh::channel`], with this instance's own identity.
    ///
    /// # Errors
    /// When it is no `http://HOST[:PORT]`.
    pub fn channel(&self, origin: &str) -> Result<Channel, Error> {
        Channel::new(Whose::Registered(self.clone()), origin)
    }

    /// Takes the instance out in order: first every caller that knows it lets it go, then its last request finishes. 30
    /// seconds are the most that each of the two takes.
    pub async fn drain(self) {
        self.0.member.drain().await;
    }
}
