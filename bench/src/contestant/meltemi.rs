//! Meltemi as a user runs it: `meltemi control`, a service applied, `meltemi proxy` beside the caller and each endpoint.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::{Place, READY, Starting};
use crate::error::BenchError;
use crate::process::Process;
use crate::scenario::{Topology, Wire};
use crate::template::fill;

/// Any free port.
const ANY: &str = "127.0.0.1:0";
/// The port of the service, as the files in `bench/peers/meltemi` have it.
const PORT: u16 = 9080;
/// How long `meltemi apply` may take.
const APPLY: Duration = Duration::from_secs(30);

/// What a sidecar prints when it is up, as far as it is needed here.
#[derive(Debug, Deserialize)]
struct Up {
    #[serde(default)]
    upstreams: BTreeMap<String, SocketAddr>,
}

pub(super) async fn start(starting: &mut Starting<'_>) -> Result<Option<String>, BenchError> {
    let Some(program) = program() else {
        return Ok(Some(
            "there is no `meltemi` beside this binary: cargo build --release -p meltemi".to_owned(),
        ));
    };
    let state = format!("--state-dir={}", starting.directory.join("meltemi").display());
    start_control(starting, &program, &state).await?;
    apply(starting, &program, &state).await?;
    let mut front = ("bench", Place::Client);
    match starting.setup.topology {
        Topology::Single => front = ("bench.example.com", Place::Single),
        Topology::Pair => {
            for (number, endpoint) in starting.endpoints.iter().enumerate() {
                start_server(starting, &program, &state, number + 1, *endpoint).await?;
            }
        }
    }
    let (host, place) = front;
    start_front(starting, &program, &state, host, place).await?;
    Ok(None)
}

/// The binary beside this one.
fn program() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    Some(own.with_file_name("meltemi")).filter(|it| it.is_file())
}

/// The protocol as a port's name, and as a `ServiceEntry` has it.
fn protocol(wire: Wire) -> (&'static str, &'static str) {
    match wire {
        Wire::Http1 | Wire::Http1Close => ("http", "HTTP"),
        Wire::H2 => ("http2", "HTTP2"),
        Wire::Grpc => ("grpc", "GRPC"),
        Wire::Tcp => ("tcp", "TCP"),
    }
}

async fn start_control(
    starting: &mut Starting<'_>,
    program: &Path,
    state: &str,
) -> Result<(), BenchError> {
    let mut words = vec!["control".to_owned(), "--output=json".to_owned(), state.to_owned()];
    for listener in ["api", "xds", "secure-xds", "dns", "monitoring"] {
        words.push(format!("--{listener}={ANY}"));
    }
    let mut control = Process::start("meltemi-control", program, &words, starting.directory)?;
    let said = control.line(READY).await;
    starting.contestant.others.push(control);
    said.map(drop)
}

async fn apply(starting: &Starting<'_>, program: &Path, state: &str) -> Result<(), BenchError> {
    let template = match starting.setup.topology {
        Topology::Pair => include_str!("../../peers/meltemi/pair.yaml"),
        Topology::Single => include_str!("../../peers/meltemi/single.yaml"),
    };
    let (name, protocol) = protocol(starting.setup.wire);
    let values = [("port_name", name.to_owned()), ("port_protocol", protocol.to_owned())];
    let text = fill(template, &values, starting.endpoints).map_err(|said| BenchError::Unclear {
        name: "meltemi-apply".to_owned(),
        reason: "the file names a value that there is not".to_owned(),
        said,
    })?;
    let file = starting.directory.join("meltemi-bench.yaml");
    std::fs::write(&file, text).map_err(BenchError::system(format!("write {}", file.display())))?;
    let words = ["apply".to_owned(), format!("--filename={}", file.display()), state.to_owned()];
    let mut apply = Process::start("meltemi-apply", program, &words, starting.directory)?;
    apply.succeeded(APPLY).await
}

/// The flags that all sidecars have.
fn proxy(starting: &Starting<'_>, state: &str, name: &str) -> Vec<String> {
    let mut words = vec!["proxy".to_owned(), "--output=json".to_owned(), state.to_owned()];
    words.push(format!("--name={name}"));
    words.push(format!("--workers={}", starting.setup.workers));
    words.push("--drain-timeout=2s".to_owned());
    for listener in ["outbound", "inbound", "admin", "metrics", "health"] {
        words.push(format!("--{listener}={ANY}"));
    }
    words
}

async fn start_server(
    starting: &mut Starting<'_>,
    program: &Path,
    state: &str,
    number: usize,
    endpoint: SocketAddr,
) -> Result<(), BenchError> {
    let mut words = proxy(starting, state, &format!("bench-{number}"));
    words.push("--service=bench".to_owned());
    words.push("--service-account=bench".to_owned());
    words.push(format!("--port={}/{}", endpoint.port(), protocol(starting.setup.wire).0));
    up(starting, program, Place::Server, &words).await?;
    Ok(())
}

async fn start_front(
    starting: &mut Starting<'_>,
    program: &Path,
    state: &str,
    host: &'static str,
    place: Place,
) -> Result<(), BenchError> {
    let mut words = proxy(starting, state, "client");
    words.push("--service-account=client".to_owned());
    words.push(format!("--upstream={host}:{PORT}={ANY}"));
    let (said, up) = up(starting, program, place, &words).await?;
    let listen = up.upstreams.values().next().ok_or_else(|| BenchError::Unclear {
        name: "meltemi-client".to_owned(),
        reason: "no upstream's address is in it".to_owned(),
        said,
    })?;
    starting.contestant.targets = vec![*listen];
    starting.contestant.host = host;
    Ok(())
}

/// Starts a sidecar and waits until it tells where it listens.
async fn up(
    starting: &mut Starting<'_>,
    program: &Path,
    place: Place,
    words: &[String],
) -> Result<(String, Up), BenchError> {
    let name = starting.name(place);
    let mut process = Process::start(&name, program, words, starting.directory)?;
    let said = process.line(READY).await;
    // Also one that failed has to be ended.
    starting.push(place, process);
    let said = said?;
    match serde_json::from_str(&said) {
        Ok(up) => Ok((said, up)),
        Err(error) => Err(BenchError::Unclear { name, reason: error.to_string(), said }),
    }
}
