//! The endpoints behind the proxies: one process, one listener an endpoint, answers of a kilobyte made beforehand.

mod http1;
mod http2;

use std::net::SocketAddr;
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

pub use http2::grpc_message;

use crate::error::BenchError;
use crate::scenario::Carried;

/// Length of an answer's body.
pub const BODY: usize = 1024;
/// How HTTP/2 begins.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n";
/// Length of one write of the byte source.
const CHUNK: usize = 64 * 1024;

/// The endpoints.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many endpoints
    #[arg(long)]
    endpoints: usize,
    /// Send bytes as long as they are taken, instead of answering HTTP
    #[arg(long)]
    bytes: bool,
}

impl Args {
    /// As arguments of the child.
    pub fn words(endpoints: usize, carried: Carried) -> Vec<String> {
        let mut words = vec!["backend".to_owned(), format!("--endpoints={endpoints}")];
        if carried == Carried::Tcp {
            words.push("--bytes".to_owned());
        }
        words
    }
}

/// Prints the addresses as a JSON array, and serves until it is ended.
pub fn run(args: Args) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(BenchError::system("start the runtime"))?;
    LocalSet::new().block_on(&runtime, async {
        let mut addresses = Vec::new();
        for number in 1..=args.endpoints {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await;
            let listener = listener.map_err(BenchError::system("listen"))?;
            addresses.push(listener.local_addr().map_err(BenchError::system("listen"))?);
            spawn_local(accept(listener, Rc::new(Answer::of(number)), args.bytes));
        }
        println!("{}", line(&addresses));
        std::future::pending().await
    })
}

fn line(addresses: &[SocketAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    serde_json::json!(texts).to_string()
}

/// What one endpoint answers.
#[derive(Debug)]
struct Answer {
    /// Which it is, from 1.
    number: usize,
    kept: Vec<u8>,
    last: Vec<u8>,
}

impl Answer {
    fn of(number: usize) -> Answer {
        let bytes = |more: &str| {
            let body = "x".repeat(BODY);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nserver: backend\r\nx-endpoint: {number}\r\n\
                 content-length: {BODY}\r\n{more}\r\n"
            );
            (head + &body).into_bytes()
        };
        Answer { number, kept: bytes(""), last: bytes("connection: close\r\n") }
    }
}

async fn accept(listener: TcpListener, answer: Rc<Answer>, bytes: bool) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let answer = answer.clone();
                // A connection that breaks is the caller's to count.
                spawn_local(async move {
                    let _ = if bytes { source(stream).await } else { serve(stream, &answer).await };
                });
            }
            Err(error) => {
                eprintln!("cannot accept: {error}");
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn serve(mut stream: TcpStream, answer: &Answer) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(16 * 1024);
    while buffer.len() < HTTP2.len() {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        if !HTTP2.starts_with(&buffer[..buffer.len().min(HTTP2.len())]) {
            break;
        }
    }
    if buffer.starts_with(HTTP2) {
        return http2::serve(stream, buffer, answer).await;
    }
    http1::serve(stream, buffer, answer).await
}

/// Writes what is taken, from the first byte that is read on: a proxy that waits for the client to speak first is not
/// put at a disadvantage.
async fn source(mut stream: TcpStream) -> std::io::Result<()> {
    if stream.read_u8().await.is_err() {
        return Ok(());
    }
    let chunk = vec![b'x'; CHUNK];
    loop {
        stream.write_all(&chunk).await?;
    }
}
