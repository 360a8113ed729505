//! Listeners that come and go with the configuration: a Sidecar resource's, for what goes out and for what comes in.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::task::JoinHandle;

use super::accept::{Door, Incoming, Purpose, hand_over};
use crate::config::{Bind, Mesh};

/// The wait before a listener that cannot be opened is tried again, or a connection that the kernel does not give.
const PAUSE: Duration = Duration::from_secs(1);

/// Keeps open what the configuration in effect has. Ends with the mesh, or when the future is dropped.
pub(crate) async fn run(mesh: Mesh, doors: Vec<Door>) {
    let mut changes = mesh.changes();
    let (mut open, mut told) = (HashMap::<Arc<Bind>, (Purpose, Serving)>::new(), HashSet::new());
    loop {
        changes.mark_unchanged();
        let wanted = wanted(&mesh);
        let is_unwanted =
            |bind: &Arc<Bind>, is: &mut (Purpose, Serving)| wanted.get(bind) != Some(&is.0);
        let closed: Vec<_> = open.extract_if(is_unwanted).collect();
        for (bind, (purpose, serving)) in closed {
            serving.end().await;
            tracing::info!(%bind, ?purpose, "a listener of the Sidecar resource is closed");
        }
        told.retain(|bind| wanted.contains_key(bind));
        let mut is_whole = true;
        for (bind, purpose) in wanted {
            if open.contains_key(&bind) {
                continue;
            }
            match Listener::open(&bind).await {
                Ok(listener) => {
                    tracing::info!(%bind, ?purpose, "a listener of the Sidecar resource is open");
                    told.remove(&bind);
                    let serving = serve(listener, purpose.clone(), doors.clone());
                    open.insert(bind, (purpose, Serving(tokio::spawn(serving))));
                }
                Err(error) => {
                    is_whole = false;
                    if told.insert(bind.clone()) {
                        tracing::warn!(%bind, %error, "a listener of the Sidecar resource cannot be opened; it is tried again");
                    }
                }
            }
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(PAUSE), if !is_whole => {}
        }
    }
}

/// The listeners that the configuration in effect has, and what each is for.
fn wanted(mesh: &Mesh) -> HashMap<Arc<Bind>, Purpose> {
    let current = mesh.current();
    let egress = current.own().listeners.iter();
    let egress = egress.map(|it| (it.bind.clone(), Purpose::Egress(it.bind.clone())));
    let ingress = current.inbound().listeners.iter();
    ingress.map(|it| (it.bind.clone(), Purpose::Ingress(it.number))).chain(egress).collect()
}

/// A listener that is served; it ends with this.
struct Serving(JoinHandle<()>);

impl Serving {
    /// Ends it. Its address is free then.
    async fn end(mut self) {
        self.0.abort();
        // It can only have been cancelled.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _file: Option<Socket> },
}

/// The file of a Unix socket; it goes with its listener.
struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        // Whoever has taken it away already has done the same.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    async fn open(bind: &Bind) -> io::Result<Listener> {
        let path = match bind {
            Bind::Address(address) => return Ok(Listener::Tcp(TcpListener::bind(address).await?)),
            Bind::Unix(path) => path,
        };
        let is_file = !path.as_os_str().as_bytes().starts_with(b"\0");
        if is_file {
            clear(path).await?;
        }
        let listener = UnixListener::bind(path)?;
        Ok(Listener::Unix { listener, _file: is_file.then(|| Socket(path.clone())) })
    }

    async fn accept(&self) -> io::Result<Incoming> {
        Ok(match self {
            Listener::Tcp(listener) => {
                let (stream, remote) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Incoming::Tcp(stream.into_std()?, remote)
            }
            Listener::Unix { listener, .. } => {
                Incoming::Unix(listener.accept().await?.0.into_std()?)
            }
        })
    }
}

/// Takes away the socket of a listener that has ended without doing so.
async fn clear(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket());
    let is_left = is_socket
        && UnixStream::connect(path)
            .await
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    if is_left { std::fs::remove_file(path) } else { Ok(()) }
}

async fn serve(listener: Listener, purpose: Purpose, doors: Vec<Door>) {
    loop {
        match listener.accept().await {
            Ok(incoming) => hand_over(&doors, incoming, &purpose),
            Err(error) => {
                tracing::debug!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
