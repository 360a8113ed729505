//! Meltemi as a user runs it: `meltemi control`, a service applied, `meltemi proxy` beside the caller and each endpoint.

use std::net::SocketAddr;

use serde::Deserialize;

use super::change::{Api, Changer};
use super::{Kind, Place, READY, Special, Starting};
use crate::error::BenchError;
use crate::mesh::{ANY, Mesh, NO_PROGRAM, Up};
use crate::process::Process;
use crate::scenario::{Topology, Wire};
use crate::template::{fill, repeat};

/// The port of the service, as the files in `bench/peers/meltemi` have it.
const PORT: u16 = 9080;
/// How much longer a proxy may take that another program runs.
const SLOWED: u32 = 4;
/// The host of the endpoints that have no sidecar.
const EXTERNAL: &str = "bench.example.com";

/// Names of the service where no session may be resumed: four times as many as those whose sessions a client remembers.
const NAMES: usize = 64;

/// What `control.json` says, as far as it is needed here.
#[derive(Deserialize)]
struct Control {
    api: SocketAddr,
    token: String,
}

pub(super) async fn start(starting: &mut Starting<'_>) -> Result<Option<String>, BenchError> {
    let Some(mesh) = Mesh::new(starting.directory, starting.contestant.kind.name()) else {
        return Ok(Some(NO_PROGRAM.to_owned()));
    };
    let control = mesh.control()?;
    starting.contestant.others.push(control);
    if let Some(control) = starting.contestant.others.last_mut() {
        Mesh::controls(control).await?;
    }
    mesh.apply(&resources(starting)?).await?;
    if starting.setup.topology == Topology::Pair {
        for (number, endpoint) in starting.endpoints.iter().enumerate() {
            start_server(starting, &mesh, number + 1, *endpoint).await?;
        }
    }
    start_front(starting, &mesh).await?;
    Ok(None)
}

/// The protocol as a port's name, and as a `ServiceEntry` has it.
fn protocol(wire: Wire) -> (&'static str, &'static str) {
    match wire {
        Wire::Http1 | Wire::Http1Close => ("http", "HTTP"),
        Wire::H2 => ("http2", "HTTP2"),
        Wire::Grpc | Wire::GrpcStream => ("grpc", "GRPC"),
        Wire::Tcp | Wire::TcpShort => ("tcp", "TCP"),
    }
}

/// What is applied before any proxy starts.
fn resources(starting: &Starting<'_>) -> Result<String, BenchError> {
    let template = match (starting.special, starting.setup.topology) {
        (Special { services: Some(_), .. }, _) => include_str!("../../peers/meltemi/services.yaml"),
        (Special { full_handshakes: true, .. }, _) => {
            include_str!("../../peers/meltemi/names.yaml")
        }
        (_, Topology::Pair) => include_str!("../../peers/meltemi/pair.yaml"),
        (_, Topology::Single) => include_str!("../../peers/meltemi/single.yaml"),
    };
    let mut template = template.to_owned();
    if starting.contestant.kind == Kind::Rules {
        template += include_str!("../../peers/meltemi/rules.yaml");
    }
    let template = repeat(&template, starting.special.services.unwrap_or(NAMES));
    let (name, protocol) = protocol(starting.setup.wire);
    let values = [("port_name", name.to_owned()), ("port_protocol", protocol.to_owned())];
    fill(&template, &values, starting.endpoints).map_err(|said| BenchError::Unclear {
        name: "meltemi-apply".to_owned(),
        reason: "the file names a value that there is not".to_owned(),
        said,
    })
}

async fn start_server(
    starting: &mut Starting<'_>,
    mesh: &Mesh,
    number: usize,
    endpoint: SocketAddr,
) -> Result<(), BenchError> {
    let mut words = mesh.proxy(&format!("bench-{number}"), starting.setup.workers);
    words.push("--service=bench".to_owned());
    words.push("--service-account=bench".to_owned());
    words.push(format!("--port={}/{}", endpoint.port(), protocol(starting.setup.wire).0));
    up(starting, mesh, Place::Server, &words).await?;
    Ok(())
}

async fn start_front(starting: &mut Starting<'_>, mesh: &Mesh) -> Result<(), BenchError> {
    let mut words = mesh.proxy("client", starting.setup.workers);
    words.push("--service-account=client".to_owned());
    let (place, hosts) = front(starting);
    words.extend(hosts.iter().map(|host| format!("--upstream={host}:{PORT}={ANY}")));
    let (said, up) = up(starting, mesh, place, &words).await?;
    starting.contestant.targets = up.upstreams.values().copied().collect();
    if hosts.is_empty() {
        starting.contestant.targets.push(up.outbound);
    }
    if starting.contestant.targets.is_empty() {
        return Err(BenchError::Unclear {
            name: "meltemi-client".to_owned(),
            reason: "no upstream's address is in it".to_owned(),
            said,
        });
    }
    if place == Place::Single {
        starting.contestant.host = EXTERNAL;
    }
    if starting.special.changes {
        starting.contestant.changer = Some(changer(mesh, up.admin, starting)?);
    }
    Ok(())
}

/// Where the caller's proxy stands, and the hosts that it has a local address for. Without any it is asked as an HTTP
/// proxy.
fn front(starting: &Starting<'_>) -> (Place, Vec<String>) {
    match (starting.special, starting.setup.topology) {
        (Special { services: Some(_), .. }, _) => (Place::Single, Vec::new()),
        (Special { full_handshakes: true, .. }, _) => {
            (Place::Client, (1..=NAMES).map(|it| format!("bench-{it}")).collect())
        }
        (_, Topology::Pair) => (Place::Client, vec!["bench".to_owned()]),
        (_, Topology::Single) => (Place::Single, vec![EXTERNAL.to_owned()]),
    }
}

fn changer(mesh: &Mesh, admin: SocketAddr, starting: &Starting<'_>) -> Result<Changer, BenchError> {
    let path = mesh.state_dir.join("control.json");
    let text = std::fs::read_to_string(&path);
    let text = text.map_err(BenchError::system(format!("read {}", path.display())))?;
    let Control { api, token } =
        serde_json::from_str(&text).map_err(|error| BenchError::Unclear {
            name: "meltemi-control".to_owned(),
            reason: error.to_string(),
            // It has the token in it.
            said: path.display().to_string(),
        })?;
    let workloads = starting.endpoints.len() as u64;
    let has_rules = starting.contestant.kind == Kind::Rules;
    Ok(Changer::Meltemi(Api { address: api, token, workloads, admin, has_rules }))
}

/// Starts a sidecar and waits until it tells where it listens.
async fn up(
    starting: &mut Starting<'_>,
    mesh: &Mesh,
    place: Place,
    words: &[String],
) -> Result<(String, Up), BenchError> {
    let name = starting.name(place);
    let wrapper = starting.wrapper.filter(|it| it.place == place);
    let (mut process, patience) = match wrapper.and_then(|it| it.words.split_first()) {
        None => (Process::start(&name, &mesh.program, words, starting.directory)?, READY),
        Some((outer, its)) => {
            let mut all = its.to_vec();
            all.push(mesh.program.display().to_string());
            all.extend_from_slice(words);
            (Process::start(&name, outer, &all, starting.directory)?, SLOWED * READY)
        }
    };
    let said = process.line(patience).await;
    // Also one that failed has to be ended.
    starting.push(place, process);
    let said = said?;
    let up = Up::read(&name, &said)?;
    Ok((said, up))
}
