//! An API on a free port, and the binary pointed at it.

use std::process::{Output, Stdio};
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use meltemi_apiserver::{AdminToken, ApiState, ensure_namespaces, router};
use meltemi_store::{Key, MemoryStore, Store};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

const TOKEN: &str = "s3cret";

/// A running API with a home directory for those who use it.
pub(crate) struct Mesh {
    pub(crate) home: TempDir,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) url: String,
    task: JoinHandle<()>,
}

impl Drop for Mesh {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Mesh {
    pub(crate) async fn start() -> Self {
        Self::start_with(|router| router).await
    }

    /// With something between the callers and the API.
    pub(crate) async fn start_with(adapt: impl FnOnce(Router) -> Router) -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        ensure_namespaces(&*store).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = ApiState::new(store.clone()).with_auth(AdminToken::new(TOKEN));
        let app = adapt(router(state));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), TOKEN).unwrap();
        Self { home, store, url, task }
    }

    /// The binary with these arguments, sure of where the API is.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = bare(line);
        command
            .current_dir(self.home.path())
            .env("HOME", self.home.path())
            .env("MELTEMI_API", &self.url)
            .env("MELTEMI_TOKEN_FILE", self.home.path().join("token"));
        command
    }

    /// Runs it to its end, with this on its standard input.
    pub(crate) async fn run_with(&self, line: &str, input: &str) -> Run {
        run(self.command(line), input).await
    }

    pub(crate) async fn run(&self, line: &str) -> Run {
        self.run_with(line, "").await
    }

    /// Applies a text that has to be taken.
    pub(crate) async fn apply(&self, text: &str) {
        self.run_with("apply -f -", text).await.succeeds();
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// What is in the store under this key.
    pub(crate) async fn stored(&self, group: &str, plural: &str, name: &str) -> Option<Value> {
        let key = Key::new(group, plural, Some("default"), name);
        let entry = self.store.get(&key).await.unwrap()?;
        Some(serde_json::from_slice(&entry.value).unwrap())
    }

    pub(crate) async fn service(&self, name: &str) -> Option<Value> {
        self.stored("", "services", name).await
    }
}

/// Puts a function between the callers and the API.
pub(crate) fn between<F, Fut>(f: F) -> impl FnOnce(Router) -> Router
where
    F: Fn(Request, Next) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send + 'static,
{
    move |router| router.layer(from_fn(f))
}

/// The binary with these arguments and nothing in its environment.
pub(crate) fn bare(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meltemi"));
    command
        .args(line.split_whitespace())
        .env_clear()
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs a command to its end.
pub(crate) async fn run(mut command: Command, input: &str) -> Run {
    let mut child = command.spawn().unwrap();
    feed(&mut child, input).await;
    Run::of(child.wait_with_output().await.unwrap())
}

/// Writes a child's standard input. One that does not read it has closed its end, which is no error.
pub(crate) async fn feed(child: &mut Child, input: &str) {
    let mut stdin = child.stdin.take().unwrap();
    let _ = stdin.write_all(input.as_bytes()).await;
}

/// How the warning of such an object ends.
const WITHOUT_EFFECT: &str = ": accepted and stored, but this version does not act on it";

/// What a command has done.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Its output; it must have done well, and must not have complained, but for objects without effect in this version.
    #[track_caller]
    pub(crate) fn succeeds(self) -> String {
        let mut complaints = self.err.lines().filter(|line| !line.ends_with(WITHOUT_EFFECT));
        assert_eq!((self.code, complaints.next()), (Some(0), None), "{self:#?}");
        self.out
    }

    /// Its complaint; it must have failed as a command does, and not by a panic.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(!self.err.contains("panicked"), "{self:#?}");
        self.err
    }
}

/// A service on a port, eleven lines of YAML.
pub(crate) fn service(name: &str, port: u16) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  selector:
    app: {name}
  ports:
  - name: http
    port: {port}
---
"
    )
}

/// A virtual service that sends a host's traffic to itself, thirteen lines of YAML.
pub(crate) fn route(name: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: {name}
spec:
  hosts:
  - {name}
  http:
  - route:
    - destination:
        host: {name}
---
"
    )
}
