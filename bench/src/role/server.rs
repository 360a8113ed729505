//! A server of which the capacity is known and changes: it computes nothing, and answers when it would have been done.

mod shared;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::{LocalSet, spawn_local};

use self::shared::Shared;
use super::http1::head;
use crate::error::BenchError;

/// A head that is longer is no request.
const MAX_HEAD: usize = 64 * 1024;
/// What every request is answered.
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\nok\n";
/// Where it is set how many cores it has, and parts of them.
const CORES: &str = "/set/cores/";
/// Where it is set that each request takes so many milliseconds, whatever else there is to do.
const DELAY: &str = "/set/delay/";

/// The server.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Mean work of a request, exponentially distributed, under processor sharing
    #[arg(long)]
    work_ms: f64,
    /// Of the work
    #[arg(long)]
    seed: u64,
}

impl Args {
    /// As arguments of the child.
    pub fn words(work: Duration, seed: u64) -> Vec<String> {
        let work = work.as_secs_f64() * 1000.0;
        vec!["server".to_owned(), format!("--work-ms={work}"), format!("--seed={seed}")]
    }
}

/// Another state of the server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Setting {
    /// So many cores: seconds of work that are done in a second, for a request one at most.
    Cores(f64),
    /// Requests take so long, and no work.
    Delay(Duration),
}

impl Setting {
    /// The request that sets it.
    pub fn request(self) -> Vec<u8> {
        let path = match self {
            Setting::Cores(cores) => format!("{CORES}{cores}"),
            Setting::Delay(delay) => format!("{DELAY}{}", delay.as_millis()),
        };
        format!("GET {path} HTTP/1.1\r\nhost: server\r\n\r\n").into_bytes()
    }

    fn read(head: &[u8]) -> Option<Setting> {
        let line = head.split(|byte| *byte == b'\r').next()?;
        let path = std::str::from_utf8(line).ok()?.split(' ').nth(1)?;
        if let Some(cores) = path.strip_prefix(CORES) {
            return cores.parse().ok().map(Setting::Cores);
        }
        let delay = path.strip_prefix(DELAY)?.parse().ok()?;
        Some(Setting::Delay(Duration::from_millis(delay)))
    }
}

/// Prints its address as JSON, and serves until it is ended.
pub fn run(args: &Args) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(BenchError::system("start the runtime"))?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.map_err(BenchError::system("listen"))?;
        let address: SocketAddr = listener.local_addr().map_err(BenchError::system("listen"))?;
        let server = Rc::new(Server::new(args));
        spawn_local(serve_jobs(server.clone()));
        println!("{}", serde_json::json!(address.to_string()));
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let server = server.clone();
                    // A connection that breaks is the caller's to count.
                    spawn_local(async move { drop(serve(&server, stream).await) });
                }
                Err(error) => {
                    eprintln!("cannot accept: {error}");
                    tokio::task::yield_now().await;
                }
            }
        }
    })
}

#[derive(Debug)]
struct Server {
    began: Instant,
    mean: f64,
    random: RefCell<StdRng>,
    shared: RefCell<Shared>,
    waiting: RefCell<HashMap<u64, oneshot::Sender<()>>>,
    last: Cell<u64>,
    delay: Cell<Option<Duration>>,
    changed: Notify,
}

impl Server {
    fn new(args: &Args) -> Server {
        Server {
            began: Instant::now(),
            mean: args.work_ms / 1000.0,
            random: RefCell::new(StdRng::seed_from_u64(args.seed)),
            shared: RefCell::new(Shared::new(1.0)),
            waiting: RefCell::default(),
            last: Cell::new(0),
            delay: Cell::new(None),
            changed: Notify::new(),
        }
    }

    /// Brings all up to now, and answers what was done.
    fn advance(&self) {
        let done = self.shared.borrow_mut().advance(self.began.elapsed());
        for id in done {
            if let Some(waiting) = self.waiting.borrow_mut().remove(&id) {
                // A caller that is gone took its work with it no more than a real one does.
                let _ = waiting.send(());
            }
        }
    }

    fn set(&self, setting: Setting) {
        self.advance();
        match setting {
            Setting::Cores(cores) => {
                self.delay.set(None);
                self.shared.borrow_mut().set_cores(cores);
            }
            Setting::Delay(delay) => self.delay.set(Some(delay)),
        }
        self.changed.notify_one();
    }

    /// Ends when the server would have been done with a request.
    async fn work(&self) {
        if let Some(delay) = self.delay.get() {
            return tokio::time::sleep(delay).await;
        }
        self.advance();
        let id = self.last.get();
        self.last.set(id + 1);
        let work = -self.mean * (1.0 - self.random.borrow_mut().random::<f64>()).ln();
        let (done, waiting) = oneshot::channel();
        self.waiting.borrow_mut().insert(id, done);
        self.shared.borrow_mut().add(id, work);
        self.changed.notify_one();
        // The sender stays in the map until it is told.
        let _ = waiting.await;
    }
}

/// Wakes whenever a job is done, or something has changed.
async fn serve_jobs(server: Rc<Server>) {
    loop {
        let next = server.shared.borrow().next();
        let until = async {
            match next {
                Some(next) => tokio::time::sleep_until((server.began + next).into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = until => server.advance(),
            () = server.changed.notified() => {}
        }
    }
}

async fn serve(server: &Server, mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4096);
    loop {
        if let Some(head) = head(&buffer) {
            match Setting::read(&buffer[..head.length]) {
                Some(setting) => server.set(setting),
                None => server.work().await,
            }
            buffer.drain(..head.length);
            stream.write_all(ANSWER).await?;
            if head.close {
                return stream.shutdown().await;
            }
            continue;
        }
        if buffer.len() > MAX_HEAD || stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_read_as_it_was_written() {
        for setting in [Setting::Cores(0.25), Setting::Delay(Duration::from_millis(167))] {
            assert_eq!(Setting::read(&setting.request()), Some(setting));
        }
        assert_eq!(Setting::read(b"GET /items/42 HTTP/1.1\r\n\r\n"), None);
        assert_eq!(Setting::read(b"GET /set/cores/many HTTP/1.1\r\n\r\n"), None);
    }
}
