//! The mesh as a program sees it: joined once, called through by everybody.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use meltemi_names::{DEFAULT_NAMESPACE, DEFAULT_SERVICE_ACCOUNT, is_dns_label, is_dns_subdomain};
use meltemi_proxy::in_process::{Body, Handlers};

use crate::BoxError;
use crate::call;
use crate::channel::{Channel, Whose};
use crate::control::{Control, Token};
use crate::error::Error;
use crate::member::{Home, Member, Members, Who};

/// A mesh that this program has joined. Clones share the membership; the last one that is dropped ends it, unless a service
/// is registered still.
#[derive(Debug, Clone)]
pub struct Mesh {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) member: Member,
    pub(crate) home: Home,
    pub(crate) members: Members,
    /// Its own service account, and the one of services that name none, where one token is all there is.
    pub(crate) service_account: Option<String>,
    /// Ends after the members.
    #[cfg(feature = "embedded")]
    pub(crate) _plane: Option<crate::embedded::Plane>,
}

impl Mesh {
    /// Joins a mesh as a workload that calls others.
    ///
    /// # Errors
    /// [`Error::ControlPlane`] within 2 seconds when there is no control plane, [`Error::Refused`] when it does not let the
    /// workload in.
    ///
    /// # Panics
    /// Outside of a Tokio runtime, as does all that begins something here: see [the crate](crate#the-runtime).
    pub async fn connect(control: Control, token: impl Into<Token>) -> Result<Mesh, Error> {
        Mesh::builder(control).token(token).connect().await
    }

    /// Starts a control plane in this process, in a directory of its own that goes with it, and joins its mesh.
    ///
    /// # Errors
    /// When it cannot be started.
    #[cfg(feature = "embedded")]
    pub async fn embedded() -> Result<Mesh, Error> {
        let plane = crate::embedded::Plane::start().await?;
        let mut builder = Mesh::builder(Control::local(plane.state_dir()));
        builder.plane = Some(plane);
        builder.connect().await
    }

    /// How a mesh is joined, step by step.
    pub fn builder(control: Control) -> Builder {
        Builder::new(control)
    }

    /// Calls a service: `http://NAME[.NAMESPACE][:PORT]/...`, with the identity of this mesh's own workload. Discovery,
    /// balancing, mutual TLS, retries and rules are those of a sidecar. An answer that the data path gives itself, because of a
    /// rule or because an endpoint failed, bears [`crate::Ours`].
    ///
    /// # Errors
    /// [`Error::UnknownService`], [`Error::NoInstance`] and the others, where nothing has answered.
    pub async fn call<B>(&self, request: Request<B>) -> Result<Response<Body>, Error>
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        call::call(&self.inner.member, request).await
    }

    /// The same; the answer's body is read, up to so many bytes.
    ///
    /// # Errors
    /// As [`Mesh::call`], and [`Error::TooLarge`].
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

    /// A way to one service for clients that are built on `tower::Service`, such as tonic's. Requests that name no host go
    /// there.
    ///
    /// # Errors
    /// When it is no `http://HOST[:PORT]`.
    pub fn channel(&self, origin: &str) -> Result<Channel, Error> {
        Channel::new(Whose::Mesh(self.clone()), origin)
    }

    /// Leaves the mesh when this is the last clone, and waits until the control plane knows what became of the last calls, for
    /// a second at most. A program that ends right afterwards has told all.
    pub async fn close(self) {
        self.inner.member.close().await;
    }

    pub(crate) fn member(&self) -> &Member {
        &self.inner.member
    }

    /// The name of this mesh's own workload, `NAMESPACE/NAME`.
    pub fn name(&self) -> &str {
        self.inner.member.name()
    }

    /// Its identity, `spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT`.
    pub fn id(&self) -> String {
        self.inner.member.id()
    }

    /// Whether the control plane can be reached at the moment. While it cannot, what is known serves on.
    pub fn is_connected(&self) -> bool {
        self.inner.member.is_connected()
    }

    /// Where the state of the control plane in this process is: `meltemi --state-dir` looks into it.
    #[cfg(feature = "embedded")]
    pub fn state_dir(&self) -> Option<PathBuf> {
        self.inner.home.control.state_dir().map(Into::into)
    }
}

/// How a mesh is joined.
#[derive(Debug)]
pub struct Builder {
    control: Control,
    token: Token,
    namespace: Option<String>,
    service_account: Option<String>,
    name: String,
    address: IpAddr,
    state_dir: Option<PathBuf>,
    workers: usize,
    #[cfg(feature = "embedded")]
    plane: Option<crate::embedded::Plane>,
}

impl Builder {
    fn new(control: Control) -> Builder {
        Builder {
            control,
            token: Token::Own,
            namespace: None,
            service_account: None,
            name: "program".into(),
            address: Ipv4Addr::LOCALHOST.into(),
            state_dir: None,
            workers: 1,
            #[cfg(feature = "embedded")]
            plane: None,
        }
    }

    /// What lets the program's workloads in. A join token is for one service account, that of all of them then.
    pub fn token(mut self, token: impl Into<Token>) -> Builder {
        self.token = token.into();
        self
    }

    /// The namespace; the token's, or `default`, if not said.
    pub fn namespace(mut self, name: &str) -> Builder {
        self.namespace = Some(name.into());
        self
    }

    /// The service account of the program's own workload; the token's, or `default`, if not said.
    pub fn service_account(mut self, name: &str) -> Builder {
        self.service_account = Some(name.into());
        self
    }

    /// What the program's own workload is called, with a few letters behind it (`program`).
    pub fn name(mut self, name: &str) -> Builder {
        self.name = name.into();
        self
    }

    /// The directory that keys and configurations are kept in while the program runs; `$XDG_STATE_HOME/meltemi` if not said.
    pub fn state_dir(mut self, path: impl Into<PathBuf>) -> Builder {
        self.state_dir = Some(path.into());
        self
    }

    /// How many threads carry the traffic of each workload (1).
    pub fn workers(mut self, count: usize) -> Builder {
        self.workers = count.max(1);
        self
    }

    /// Joins.
    ///
    /// # Errors
    /// As [`Mesh::connect`].
    pub async fn connect(self) -> Result<Mesh, Error> {
        let claims = self.token.claims();
        let (claimed_namespace, claimed_account) =
            claims.map(|it| (it.namespace, it.service_account)).unzip();
        let namespace =
            self.namespace.or(claimed_namespace).unwrap_or_else(|| DEFAULT_NAMESPACE.into());
        let account = self.service_account.or(claimed_account.clone());
        check("namespace", &namespace, is_dns_label)?;
        check("name", &self.name, is_dns_label)?;
        if let Some(account) = &account {
            check("service account", account, is_dns_subdomain)?;
        }
        let kept = self.state_dir.or_else(|| self.control.state_dir().map(Into::into));
        let home = Home {
            control: self.control,
            token: self.token,
            namespace,
            state_dir: kept.unwrap_or_else(default_state_dir),
            workers: self.workers,
        };
        let who = Who {
            stem: self.name,
            service: None,
            service_account: account.unwrap_or_else(|| DEFAULT_SERVICE_ACCOUNT.into()),
            address: self.address,
            ports: Vec::new(),
            labels: BTreeMap::new(),
        };
        let member = Member::start(&home, who, Handlers::default()).await?;
        let members = Members::default();
        members.add(&member).await;
        let inner = Inner {
            member,
            home,
            members,
            service_account: claimed_account,
            #[cfg(feature = "embedded")]
            _plane: self.plane,
        };
        Ok(Mesh { inner: Arc::new(inner) })
    }
}

/// `$XDG_STATE_HOME/meltemi`, else `~/.local/state/meltemi`, as the `meltemi` command has it; else the directory for what is
/// temporary.
fn default_state_dir() -> PathBuf {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    let base = variable("XDG_STATE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".local/state")));
    base.unwrap_or_else(std::env::temp_dir).join("meltemi")
}

pub(crate) fn check(what: &str, name: &str, is_name: impl Fn(&str) -> bool) -> Result<(), Error> {
    match is_name(name) {
        true => Ok(()),
        false => Err(Error::Settings(format!(
            "the {what} `{name}` is no name: at most 63 lower-case letters, digits and `-`, with a letter or digit at both ends"
        ))),
    }
}
