//! The data path as a whole: worker threads, the listeners that feed them, draining and the end.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{LocalSet, spawn_local};

use crate::http::h1::Reader;
use crate::io::{Io, Stream};
use crate::listen::accept::{Accepted, Door, Incoming, Purpose, accept};
use crate::listen::{Role, detect, http1, http2};
use crate::reporting::{Meters, Reporting};
use crate::shared::Shared;
use crate::worker::{Load, Worker};
use crate::{in_process, inbound, outbound};

/// How often pools are looked through.
const SWEEP: Duration = Duration::from_secs(1);

/// The listeners of a data path, bound.
#[derive(Debug, Default)]
pub struct Listeners {
    /// The application's HTTP proxy.
    pub outbound: Option<TcpListener>,
    /// Where the mesh reaches the application, mutual TLS only.
    pub inbound: Option<TcpListener>,
    /// Local addresses that lead to one port of a service each.
    pub upstreams: Vec<UpstreamListener>,
}

/// A local address that leads to one port of a service.
#[derive(Debug)]
pub struct UpstreamListener {
    /// The service's name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The local address.
    pub listener: TcpListener,
}

impl Listeners {
    fn with_purposes(self) -> Vec<(TcpListener, Purpose)> {
        let fixed = self.upstreams.into_iter();
        let fixed = fixed.map(|it| (it.listener, Purpose::Upstream(it.host.into(), it.port)));
        self.outbound
            .map(|listener| (listener, Purpose::Outbound))
            .into_iter()
            .chain(self.inbound.map(|listener| (listener, Purpose::Inbound)))
            .chain(fixed)
            .collect()
    }
}

/// What a drain waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    /// The end of every inbound connection. The application's own calls go on: it is told to end next, and may call meanwhile.
    Inbound,
    /// The end of the application's own requests and connections as well: the proxy is about to end before it.
    Everything,
}

/// What the workers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    Draining,
    Ending,
}

/// Running worker threads and their listeners.
#[derive(Debug)]
pub struct DataPath {
    phase: watch::Sender<Phase>,
    /// The acceptor ends when this is closed.
    open: UnixStream,
    doors: Vec<Door>,
    meters: Arc<Meters>,
    threads: Vec<JoinHandle<()>>,
}

impl DataPath {
    /// Starts the workers and the acceptor, each on a thread of its own.
    ///
    /// # Errors
    /// When the system gives no threads or no event queues.
    pub fn start(
        shared: Arc<Shared>,
        workers: usize,
        listeners: Listeners,
    ) -> io::Result<DataPath> {
        let (phase, phases) = watch::channel(Phase::Serving);
        let (open, until) = UnixStream::pair()?;
        let meters = Meters::new(workers);
        let (doors, threads) = (Vec::new(), Vec::new());
        let mut path = DataPath { phase, open, doors, meters: meters.clone(), threads };
        let listeners = listeners.with_purposes();
        let own: io::Result<Arc<[_]>> = listeners.iter().map(|(it, _)| it.local_addr()).collect();
        let own = own?;
        for index in 0..workers.max(1) {
            let report = Reporting::new(meters.clone(), index);
            let load = Arc::<Load>::default();
            let (accepted, connections) = mpsc::unbounded_channel();
            let (shared, phases, door) = (shared.clone(), phases.clone(), load.clone());
            let (runtime, listening) = (runtime()?, own.clone());
            path.spawn(format!("worker-{index}"), move || {
                let worker = Worker::new(shared, index, load.clone(), report, listening);
                LocalSet::new().block_on(&runtime, work(worker, load, connections, phases));
            })?;
            path.doors.push(Door { accepted, load: door });
        }
        let doors = path.doors.clone();
        path.spawn("acceptor".into(), move || {
            if let Err(error) = accept(&listeners, &doors, &until) {
                tracing::error!(%error, "the listeners failed");
            }
        })?;
        Ok(path)
    }

    fn spawn(&mut self, name: String, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads.push(std::thread::Builder::new().name(name).spawn(run)?);
        Ok(())
    }

    /// Where the workers take their connections from.
    pub(crate) fn doors(&self) -> Vec<Door> {
        self.doors.clone()
    }

    /// What the workload says of its load.
    pub(crate) fn meters(&self) -> Arc<Meters> {
        self.meters.clone()
    }

    /// Makes calls of this process, without a connection to it.
    pub fn caller(&self) -> in_process::Caller {
        in_process::Caller::new(self.doors.clone())
    }

    /// Requests and TCP connections that are being carried.
    pub fn in_flight(&self) -> u64 {
        self.loads().map(|load| load.in_flight.load(Relaxed)).sum()
    }

    fn loads(&self) -> impl Iterator<Item = &Load> {
        self.doors.iter().map(|door| &*door.load)
    }

    /// To be called once the workload is out of the registry: answers tell callers to go elsewhere, connections that idle
    /// are closed. Ends when nothing is left of what is waited for. New calls of the application are served all the while.
    pub async fn drain(&self, what: Drain) {
        self.phase.send_if_modified(|phase| {
            let changed = *phase == Phase::Serving;
            if changed {
                *phase = Phase::Draining;
            }
            changed
        });
        let is_busy =
            |load: &Load| load.is_reached() || (what == Drain::Everything && load.is_carrying());
        while let Some(busy) = self.loads().find(|load| is_busy(load)) {
            let less = busy.less.notified();
            if is_busy(busy) {
                less.await;
            }
        }
    }

    /// Ends once each call is counted whose answer has come to its end by now. Who reads that end may be ahead of the worker
    /// that counts it; but a worker does both in one step, and comes to what is asked of it between two steps.
    pub async fn settle(&self) {
        let ask = |door: &Door| {
            let (told, tells) = oneshot::channel();
            let asks = Accepted { incoming: Incoming::Asks(told), purpose: Purpose::Call };
            // A worker that has ended tells nothing, and has counted all.
            door.accepted.send(asks).ok().map(|()| tells)
        };
        let asked: Vec<_> = self.doors.iter().filter_map(ask).collect();
        for tells in asked {
            drop(tells.await);
        }
    }

    /// Closes listeners and connections, and waits for the threads.
    pub fn stop(self) {
        let DataPath { phase, open, threads, .. } = self;
        phase.send_replace(Phase::Ending);
        drop(open);
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the data path had panicked");
            }
        }
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

async fn ending(phases: &mut watch::Receiver<Phase>) {
    // A sender that is gone ends everything too.
    let _ = phases.wait_for(|phase| *phase == Phase::Ending).await;
}

/// The life of a worker.
async fn work(
    worker: Rc<Worker>,
    load: Arc<Load>,
    mut connections: mpsc::UnboundedReceiver<Accepted>,
    mut phases: watch::Receiver<Phase>,
) {
    spawn_local(keep_house(worker.clone()));
    spawn_local(inbound::standing::keep_watch(worker.clone()));
    let mut changes = phases.clone();
    loop {
        tokio::select! {
            accepted = connections.recv() => match accepted {
                Some(Accepted { incoming: Incoming::Asks(told), .. }) => drop(told),
                Some(accepted) => {
                    let (worker, load) = (worker.clone(), load.clone());
                    spawn_local(async move {
                        let is_inbound = accepted.purpose.is_inbound();
                        serve(&worker, accepted).await;
                        load.leave(is_inbound);
                    });
                }
                None => return,
            },
            changed = changes.changed() => {
                let phase = *changes.borrow_and_update();
                if changed.is_err() || phase == Phase::Ending {
                    return;
                }
                worker.start_draining();
            }
            () = ending(&mut phases) => return,
        }
    }
}

/// Looks after the pools: at once when the configuration changes, and every second.
async fn keep_house(worker: Rc<Worker>) {
    let mut changes = worker.shared.mesh.changes();
    let mut ticks = tokio::time::interval(SWEEP);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => worker.pool.sweep(Instant::now()),
            changed = changes.changed() => match changed {
                Ok(()) => worker.pool.drop_gone(),
                Err(_) => return,
            },
        }
    }
}

async fn serve(worker: &Rc<Worker>, accepted: Accepted) {
    let Accepted { incoming, purpose } = accepted;
    let stream = match incoming {
        Incoming::Tcp(stream, remote) => match tokio::net::TcpStream::from_std(stream) {
            Ok(stream) if purpose.is_inbound() => {
                let listener = match purpose {
                    Purpose::Ingress(number) => Some(number),
                    _ => None,
                };
                return inbound::connection::serve(worker, stream, remote, listener).await;
            }
            stream => stream.map(Stream::Tcp),
        },
        Incoming::Unix(stream) => tokio::net::UnixStream::from_std(stream).map(Stream::Unix),
        Incoming::Call(asked) => return in_process::serve(worker, *asked).await,
        Incoming::Asks(told) => return drop(told),
    };
    let io = match stream {
        Ok(stream) => Io::new(stream),
        Err(error) => return tracing::warn!(%error, "a connection could not be served"),
    };
    match purpose {
        Purpose::Upstream(host, port) => {
            outbound::captured::serve(worker, io, &host, port).await;
        }
        Purpose::Egress(bind) => outbound::egress::serve(worker, io, bind).await,
        Purpose::Outbound | Purpose::Inbound | Purpose::Ingress(_) | Purpose::Call => {
            let mut reader = Reader::new(io.clone());
            let role = Rc::new(Role::Proxy);
            match detect::http_version(&mut reader).await {
                crate::listen::alpn::Inner::Http2 => http2::serve(worker, io, reader, &role).await,
                _ => http1::serve(worker, io, reader, &role).await,
            }
        }
    }
}

#[cfg(test)]
mod tests;
