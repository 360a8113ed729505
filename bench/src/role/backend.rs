//! The endpoints behind the proxies: one process, one listener an endpoint, answers made beforehand.

mod bytes;
mod http1;
mod http2;

use std::net::SocketAddr;
use std::rc::Rc;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

pub use http2::{CHAT, grpc_message};

use crate::error::BenchError;
use crate::scenario::Wire;

/// Length of an answer's body where no other is asked for, and of a gRPC message.
pub const BODY: usize = 1024;
/// How HTTP/2 begins.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n";

/// The endpoints.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many endpoints
    #[arg(long)]
    endpoints: usize,
    /// What callers speak
    #[arg(long, value_enum)]
    wire: Wire,
    /// Length of an answer's body
    #[arg(long)]
    body: usize,
}

impl Args {
    /// As arguments of the child.
    pub fn words(endpoints: usize, wire: Wire, body: usize) -> Vec<String> {
        vec![
            "backend".to_owned(),
            format!("--endpoints={endpoints}"),
            format!("--wire={}", wire.word()),
            format!("--body={body}"),
        ]
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
            let answer = Rc::new(Answer::of(number, args.body));
            spawn_local(accept(listener, answer, args.wire));
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
    /// Length of its body.
    body: usize,
    kept: Vec<u8>,
    last: Vec<u8>,
}

impl Answer {
    fn of(number: usize, length: usize) -> Answer {
        let bytes = |more: &str| {
            let body = "x".repeat(length);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nserver: backend\r\nx-endpoint: {number}\r\n\
                 content-length: {length}\r\n{more}\r\n"
            );
            (head + &body).into_bytes()
        };
        Answer { number, body: length, kept: bytes(""), last: bytes("connection: close\r\n") }
    }
}

async fn accept(listener: TcpListener, answer: Rc<Answer>, wire: Wire) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let answer = answer.clone();
                // A connection that breaks is the caller's to count.
                spawn_local(async move {
                    let _ = match wire {
                        Wire::Tcp => bytes::source(stream).await,
                        Wire::TcpShort => bytes::echo(stream).await,
                        _ => serve(stream, &answer).await,
                    };
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
