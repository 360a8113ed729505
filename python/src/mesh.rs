//! A mesh that was joined, and a service that is registered.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use meltemi_sdk::{Control, Error, Service, Token};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use tokio::runtime::Runtime;

use crate::completion::{Completions, Started};
use crate::errors::{CallerGoneError, ForkError, TimedOutError, UnregisteredError, raise};
use crate::gone::OnGone;
use crate::handler::{self, Dispatch, Responder};
use crate::response::Response;
use crate::runtime;

/// Fields, as Python gives them: bytes, or text in UTF-8.
type Headers = Vec<(PyBackedBytes, PyBackedBytes)>;

/// A mesh that this program has joined.
#[pyclass(frozen, module = "meltemi._meltemi")]
pub(crate) struct Mesh {
    mesh: Held<meltemi_sdk::Mesh>,
}

/// What is held until it is closed, and of no use in a process that was forked.
struct Held<T> {
    value: Mutex<Option<T>>,
    runtime: Arc<Runtime>,
    pid: u32,
}

impl<T: Clone> Held<T> {
    fn new(value: T, runtime: Arc<Runtime>) -> Self {
        Held { value: Mutex::new(Some(value)), runtime, pid: std::process::id() }
    }

    fn get(&self) -> PyResult<T> {
        if self.pid != std::process::id() {
            return Err(ForkError::new_err(Error::Forked.to_string()));
        }
        let value = self.value.lock().clone();
        value.ok_or_else(|| {
            UnregisteredError::new_err("the mesh, or the service that is to call, was closed")
        })
    }

    /// Takes it; nothing where the process was forked, whose parent's it is.
    fn take(&self) -> Option<T> {
        let taken = (self.pid == std::process::id()).then(|| self.value.lock().take());
        taken.flatten()
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        if self.pid != std::process::id() {
            std::mem::forget(self.value.get_mut().take());
            std::mem::forget(self.runtime.clone());
        }
    }
}

#[pymethods]
impl Mesh {
    /// Starts a control plane in this process, and joins its mesh.
    #[staticmethod]
    fn embedded(py: Python<'_>) -> PyResult<Mesh> {
        let runtime = runtime::current()?;
        let mesh = runtime::wait(py, &runtime, meltemi_sdk::Mesh::embedded())?;
        Ok(Mesh { mesh: Held::new(mesh, runtime) })
    }

    /// Joins the mesh of a control plane at an address.
    #[staticmethod]
    #[pyo3(signature = (control, trust_bundle, token, *, trust_domain, namespace, service_account, name, state_dir))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of one function in Python")]
    fn connect(
        py: Python<'_>,
        control: &str,
        trust_bundle: &str,
        token: String,
        trust_domain: Option<&str>,
        namespace: Option<&str>,
        service_account: Option<&str>,
        name: Option<&str>,
        state_dir: Option<PathBuf>,
    ) -> PyResult<Mesh> {
        let mut control = Control::at(control, trust_bundle).map_err(|it| raise(&it))?;
        if let Some(domain) = trust_domain {
            control = control.trust_domain(domain).map_err(|it| raise(&it))?;
        }
        let token = Token::Text(token);
        join(py, control, token, [namespace, service_account, name], state_dir)
    }

    /// Joins the mesh of the control plane that this user runs on this machine.
    #[staticmethod]
    #[pyo3(signature = (state_dir, *, namespace, service_account, name))]
    fn local(
        py: Python<'_>,
        state_dir: PathBuf,
        namespace: Option<&str>,
        service_account: Option<&str>,
        name: Option<&str>,
    ) -> PyResult<Mesh> {
        let words = [namespace, service_account, name];
        join(py, Control::local(state_dir), Token::Own, words, None)
    }

    /// Registers an instance of a service. Without `dispatch` its requests go to 127.0.0.1:PORT.
    #[pyo3(signature = (name, port, ip, *, dispatch, protocol, service_account, token, labels))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of one function in Python")]
    fn register(
        &self,
        py: Python<'_>,
        name: &str,
        port: u16,
        ip: &str,
        dispatch: Option<Dispatch>,
        protocol: &str,
        service_account: Option<&str>,
        token: Option<String>,
        labels: Vec<(String, String)>,
    ) -> PyResult<Registered> {
        let mesh = self.mesh.get()?;
        let ip: IpAddr =
            ip.parse().map_err(|_| raise(&Error::Settings(format!("`{ip}` is no IP address"))))?;
        let mut service = Service::new(name, port).protocol(protocol).map_err(|it| raise(&it))?;
        for (key, value) in &labels {
            service = service.label(key, value);
        }
        if let Some(account) = service_account {
            service = service.service_account(account);
        }
        if let Some(token) = token {
            service = service.token(Token::Text(token));
        }
        if let Some(dispatch) = dispatch {
            service = handler::serve(service, dispatch);
        }
        let runtime = self.mesh.runtime.clone();
        let registering = async move { service.register(&mesh, ip).await };
        let registered = runtime::wait(py, &runtime, registering)?;
        Ok(Registered { registered: Held::new(registered, runtime) })
    }

    /// Calls a service, and waits.
    fn call(&self, py: Python<'_>, asked: Asked) -> PyResult<Response> {
        self.mesh.call(py, asked)
    }

    /// Calls a service; the future is told by the completions of its loop.
    fn start(
        &self,
        asked: Asked,
        future: Py<PyAny>,
        completions: Py<Completions>,
    ) -> PyResult<Started> {
        self.mesh.start(asked, future, completions)
    }

    /// The name of the program's own workload.
    #[getter]
    fn name(&self) -> PyResult<String> {
        Ok(self.mesh.get()?.name().to_owned())
    }

    /// Its identity.
    #[getter]
    fn id(&self) -> PyResult<String> {
        Ok(self.mesh.get()?.id())
    }

    /// Whether the control plane can be reached.
    #[getter]
    fn is_connected(&self) -> PyResult<bool> {
        Ok(self.mesh.get()?.is_connected())
    }

    /// The state directory of a control plane of this machine.
    #[getter]
    fn state_dir(&self) -> PyResult<Option<PathBuf>> {
        Ok(self.mesh.get()?.state_dir())
    }

    /// Leaves the mesh, when it was told what became of the last calls.
    fn close(&self, py: Python<'_>) {
        let Some(mesh) = self.mesh.take() else { return };
        py.detach(|| self.mesh.runtime.block_on(mesh.close()));
    }
}

/// A registered instance of a service.
#[pyclass(frozen, module = "meltemi._meltemi")]
pub(crate) struct Registered {
    registered: Held<meltemi_sdk::Registered>,
}

#[pymethods]
impl Registered {
    /// Calls a service with this instance's identity, and waits.
    fn call(&self, py: Python<'_>, asked: Asked) -> PyResult<Response> {
        self.registered.call(py, asked)
    }

    /// Calls a service with this instance's identity; the future is told by the completions of its loop.
    fn start(
        &self,
        asked: Asked,
        future: Py<PyAny>,
        completions: Py<Completions>,
    ) -> PyResult<Started> {
        self.registered.start(asked, future, completions)
    }

    /// The name of the instance.
    #[getter]
    fn name(&self) -> PyResult<String> {
        Ok(self.registered.get()?.name().to_owned())
    }

    /// Its identity.
    #[getter]
    fn id(&self) -> PyResult<String> {
        Ok(self.registered.get()?.id())
    }

    /// Where the mesh reaches it.
    #[getter]
    fn inbound(&self) -> PyResult<String> {
        Ok(self.registered.get()?.inbound().to_string())
    }

    /// Takes the instance out in order, and waits until its last request is done.
    fn drain(&self, py: Python<'_>) -> PyResult<()> {
        let Some(registered) = self.registered.take() else { return Ok(()) };
        let draining = async move {
            registered.drain().await;
            Ok(())
        };
        runtime::wait(py, &self.registered.runtime, draining)
    }

    /// Takes the instance out, when the mesh was told what became of its last calls.
    fn close(&self, py: Python<'_>) {
        let Some(registered) = self.registered.take() else { return };
        py.detach(|| self.registered.runtime.block_on(registered.close()));
    }
}

fn join(
    py: Python<'_>,
    control: Control,
    token: Token,
    [namespace, service_account, name]: [Option<&str>; 3],
    state_dir: Option<PathBuf>,
) -> PyResult<Mesh> {
    let mut builder = meltemi_sdk::Mesh::builder(control).token(token);
    if let Some(namespace) = namespace {
        builder = builder.namespace(namespace);
    }
    if let Some(account) = service_account {
        builder = builder.service_account(account);
    }
    if let Some(name) = name {
        builder = builder.name(name);
    }
    if let Some(dir) = state_dir {
        builder = builder.state_dir(dir);
    }
    let runtime = runtime::current()?;
    let mesh = runtime::wait(py, &runtime, builder.connect())?;
    Ok(Mesh { mesh: Held::new(mesh, runtime) })
}

/// What is asked of a service: method, URL, fields, body, the longest answer that is taken, and how long it may take, seconds;
/// without an end where that is left out; and for whose answer it is asked, where a handler asks.
#[derive(FromPyObject)]
pub(crate) struct Asked(
    String,
    String,
    Headers,
    PyBackedBytes,
    usize,
    Option<f64>,
    Option<Py<Responder>>,
);

/// What an answer may be: so long, after so long, and wanted as long as somebody waits.
struct Limits {
    length: usize,
    time: Option<Duration>,
    wanted: Option<OnGone>,
}

impl Asked {
    /// The request. Its body stays where Python has it.
    fn request(self) -> Result<(Request<Full<Bytes>>, Limits), Error> {
        let Asked(method, url, fields, body, length, seconds, responder) = self;
        let wanted = responder.map(|it| it.get().on_gone());
        // What no clock will show is no limit.
        let time = seconds.and_then(|it| Duration::try_from_secs_f64(it).ok());
        let wrong = |what: String| Error::Request(what);
        let method: Result<Method, _> = method.parse();
        let method = method.map_err(|_| wrong("the method is none".into()))?;
        let uri: Uri = url.parse().map_err(|error| wrong(format!("`{url}` is no URL: {error}")))?;
        let body = if body.is_empty() { Bytes::new() } else { Bytes::from_owner(body) };
        let mut request = Request::new(Full::new(body));
        for (name, value) in &fields {
            let shown = String::from_utf8_lossy(name);
            let name = HeaderName::from_bytes(name)
                .map_err(|_| wrong(format!("`{shown}` is no name of a field")))?;
            let value = HeaderValue::from_bytes(value)
                .map_err(|_| wrong(format!("the value of the field `{shown}` cannot be one")))?;
            request.headers_mut().append(name, value);
        }
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        Ok((request, Limits { length, time, wanted }))
    }
}

/// Why a call has no answer.
enum Missed {
    Failed(Error),
    Late(Duration),
    Unwanted,
}

impl Missed {
    fn raise(self) -> PyErr {
        match self {
            Missed::Failed(error) => raise(&error),
            Missed::Late(limit) => TimedOutError::new_err(format!(
                "no answer came within {limit:?}: the call was given up (its `timeout` says how long it may take)"
            )),
            Missed::Unwanted => CallerGoneError::new_err(
                "the call was given up: the caller of the handler that has made it waits no longer",
            ),
        }
    }
}

/// Calls, within the time that there is, and for as long as somebody waits for it.
async fn call(
    caller: impl Calls,
    request: Request<Full<Bytes>>,
    limits: Limits,
) -> Result<Response, Missed> {
    let calling = caller.call_whole(request, limits.length);
    let timed = async {
        let answered = match limits.time {
            None => calling.await,
            Some(limit) => {
                tokio::time::timeout(limit, calling).await.map_err(|_| Missed::Late(limit))?
            }
        };
        answered.map(Response::from).map_err(Missed::Failed)
    };
    let Some(wanted) = limits.wanted else { return timed.await };
    tokio::select! {
        // First, so that nothing is begun for nobody.
        biased;
        () = wanted.gone() => Err(Missed::Unwanted),
        answered = timed => answered,
    }
}

/// Who can call.
trait Calls: Clone + Send + Sync + 'static {
    fn call_whole(
        &self,
        request: Request<Full<Bytes>>,
        limit: usize,
    ) -> impl Future<Output = Result<http::Response<Bytes>, Error>> + Send;
}

impl Calls for meltemi_sdk::Mesh {
    async fn call_whole(
        &self,
        request: Request<Full<Bytes>>,
        limit: usize,
    ) -> Result<http::Response<Bytes>, Error> {
        meltemi_sdk::Mesh::call_whole(self, request, limit).await
    }
}

impl Calls for meltemi_sdk::Registered {
    async fn call_whole(
        &self,
        request: Request<Full<Bytes>>,
        limit: usize,
    ) -> Result<http::Response<Bytes>, Error> {
        meltemi_sdk::Registered::call_whole(self, request, limit).await
    }
}

impl<T: Calls> Held<T> {
    fn call(&self, py: Python<'_>, asked: Asked) -> PyResult<Response> {
        let caller = self.get()?;
        let (request, limits) = asked.request().map_err(|it| raise(&it))?;
        let calling = async move { Ok(call(caller, request, limits).await) };
        runtime::wait(py, &self.runtime, calling)?.map_err(Missed::raise)
    }

    fn start(
        &self,
        asked: Asked,
        future: Py<PyAny>,
        completions: Py<Completions>,
    ) -> PyResult<Started> {
        let caller = self.get()?;
        let (request, limits) = asked.request().map_err(|it| raise(&it))?;
        let task = self.runtime.spawn(async move {
            let outcome = call(caller, request, limits).await;
            // An interpreter that has ended waits for nothing.
            Python::try_attach(|py| {
                let object = |it| Py::new(py, it).map(Py::into_any);
                let outcome = outcome.map_err(Missed::raise).and_then(object);
                Completions::tell(&completions, py, future, outcome);
            });
        });
        Ok(Started(task.abort_handle()))
    }
}
