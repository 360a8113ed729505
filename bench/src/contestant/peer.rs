//! Envoy, nginx and HAProxy, each with its configuration from `bench/peers/`.

use std::net::SocketAddr;
use std::path::Path;

use super::{Kind, Place, Starting, find};
use crate::certificates::NAME;
use crate::error::BenchError;
use crate::process::Process;
use crate::scenario::{Carried, Topology, Wire};
use crate::template::fill;

/// The configuration for a place, if the peer can carry this at all.
fn template(kind: Kind, wire: Wire, place: Place) -> Option<&'static str> {
    match kind {
        Kind::Envoy => envoy(wire.carried(), place),
        Kind::Nginx => nginx(wire, place),
        Kind::Haproxy => haproxy(wire.carried(), place),
        Kind::Direct | Kind::Relay | Kind::Meltemi => None,
    }
}

fn envoy(carried: Carried, place: Place) -> Option<&'static str> {
    Some(match (carried, place) {
        (Carried::Tcp, Place::Client) => include_str!("../../peers/envoy/client-tcp.yaml"),
        (Carried::Tcp, Place::Server) => include_str!("../../peers/envoy/server-tcp.yaml"),
        (Carried::Tcp, Place::Single) => return None,
        (_, Place::Client) => include_str!("../../peers/envoy/client.yaml"),
        (_, Place::Server) => include_str!("../../peers/envoy/server.yaml"),
        (_, Place::Single) => include_str!("../../peers/envoy/single.yaml"),
    })
}

/// Towards its upstreams it speaks HTTP/2 for gRPC alone.
fn nginx(wire: Wire, place: Place) -> Option<&'static str> {
    Some(match (wire, place) {
        (Wire::Http1 | Wire::Http1Close, Place::Client) => {
            include_str!("../../peers/nginx/client.conf")
        }
        (Wire::Http1 | Wire::Http1Close, Place::Server) => {
            include_str!("../../peers/nginx/server.conf")
        }
        (Wire::Http1 | Wire::Http1Close, Place::Single) => {
            include_str!("../../peers/nginx/single.conf")
        }
        (Wire::Grpc, Place::Client) => include_str!("../../peers/nginx/client-grpc.conf"),
        (Wire::Grpc, Place::Server) => include_str!("../../peers/nginx/server-grpc.conf"),
        _ => return None,
    })
}

fn haproxy(carried: Carried, place: Place) -> Option<&'static str> {
    Some(match (carried, place) {
        (Carried::Tcp, Place::Client) => include_str!("../../peers/haproxy/client-tcp.cfg"),
        (Carried::Tcp, Place::Server) => include_str!("../../peers/haproxy/server-tcp.cfg"),
        (Carried::Tcp, Place::Single) => return None,
        (_, Place::Client) => include_str!("../../peers/haproxy/client.cfg"),
        (_, Place::Server) => include_str!("../../peers/haproxy/server.cfg"),
        (_, Place::Single) => include_str!("../../peers/haproxy/single.cfg"),
    })
}

fn arguments(kind: Kind, configuration: &Path, directory: &Path, workers: usize) -> Vec<String> {
    let configuration = configuration.display().to_string();
    let words: Vec<String> = match kind {
        Kind::Envoy => {
            let workers = workers.to_string();
            let fixed = ["--disable-hot-restart", "--log-level", "warn", "--concurrency"];
            let fixed = fixed.into_iter().map(str::to_owned);
            fixed.chain([workers, "--config-path".to_owned(), configuration]).collect()
        }
        Kind::Nginx => {
            vec!["-p".to_owned(), directory.display().to_string(), "-c".to_owned(), configuration]
        }
        // In the foreground.
        _ => vec!["-db".to_owned(), "-f".to_owned(), configuration],
    };
    words
}

pub(super) fn start(starting: &mut Starting<'_>) -> Result<Option<String>, BenchError> {
    let kind = starting.contestant.kind;
    let (variable, name) = match kind {
        Kind::Envoy => ("ENVOY", "envoy"),
        Kind::Nginx => ("NGINX", "nginx"),
        _ => ("HAPROXY", "haproxy"),
    };
    let Some(program) = find(variable, name) else {
        return Ok(Some(format!("`{name}` is not on PATH, nor does {variable} name it")));
    };
    let wire = starting.setup.wire;
    let places: &[Place] = match starting.setup.topology {
        Topology::Pair => &[Place::Client, Place::Server],
        Topology::Single => &[Place::Single],
    };
    if places.iter().any(|place| template(kind, wire, *place).is_none()) {
        return Ok(Some(
            "it cannot do this, or has no configuration for it in bench/peers".to_owned(),
        ));
    }
    starting.lay_out(|starting, place, listen, to| {
        let name = starting.name(place);
        let admin = starting.free()?;
        let text = template(kind, wire, place).unwrap_or_default();
        let values = values(starting, &name, listen, admin);
        let text = fill(text, &values, to).map_err(|missing| BenchError::Unclear {
            name: name.clone(),
            said: format!("{{{{{missing}}}}}"),
            reason: "the configuration names a value that there is not".to_owned(),
        })?;
        let path = starting.directory.join(format!("{name}.{}", suffix(kind)));
        std::fs::write(&path, text)
            .map_err(BenchError::system(format!("write {}", path.display())))?;
        let words = arguments(kind, &path, starting.directory, starting.setup.workers);
        let process = Process::start(&name, &program, &words, starting.directory)?;
        starting.push(place, process);
        Ok(())
    })?;
    Ok(None)
}

fn suffix(kind: Kind) -> &'static str {
    match kind {
        // It reads YAML by the name's end only.
        Kind::Envoy => "yaml",
        _ => "conf",
    }
}

fn values(
    starting: &Starting<'_>,
    name: &str,
    listen: SocketAddr,
    admin: SocketAddr,
) -> Vec<(&'static str, String)> {
    let http2 = starting.setup.wire.carried() == Carried::Http2;
    let choose = |two: &str, one: &str| if http2 { two.to_owned() } else { one.to_owned() };
    vec![
        ("name", name.to_owned()),
        ("dir", starting.directory.display().to_string()),
        ("listen", listen.to_string()),
        ("listen_port", listen.port().to_string()),
        ("admin_port", admin.port().to_string()),
        ("workers", starting.setup.workers.to_string()),
        ("server_name", NAME.to_owned()),
        ("alpn", choose("h2", "http/1.1")),
        ("plain_protocol", choose("proto h2", "")),
        ("protocol_options", choose("http2_protocol_options", "http_protocol_options")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_filled_in_whole() {
        let setup = crate::contestant::Setup {
            topology: Topology::Pair,
            wire: Wire::H2,
            workers: 2,
            endpoints: 1,
        };
        let endpoints = ["127.0.0.1:7".parse().unwrap(), "127.0.0.1:8".parse().unwrap()];
        let mut ports = crate::ports::Ports::new();
        let mut contestant = crate::contestant::Contestant::new(Kind::Envoy);
        let starting = Starting {
            contestant: &mut contestant,
            directory: Path::new("/d"),
            ports: &mut ports,
            endpoints: &endpoints,
            setup: &setup,
        };
        let own = "127.0.0.1:9".parse().unwrap();
        let values = values(&starting, "n", own, own);
        let mut seen = 0;
        for kind in [Kind::Envoy, Kind::Nginx, Kind::Haproxy] {
            for wire in [Wire::Http1, Wire::H2, Wire::Grpc, Wire::Tcp] {
                for place in [Place::Client, Place::Server, Place::Single] {
                    let Some(template) = template(kind, wire, place) else { continue };
                    let filled = fill(template, &values, &endpoints).unwrap();
                    for port in [7, 8, 9] {
                        let written =
                            [format!("127.0.0.1:{port}"), format!("port_value: {port} }}")];
                        assert!(written.iter().any(|it| filled.contains(it)), "{filled}");
                    }
                    seen += 1;
                }
            }
        }
        // Envoy and HAProxy: three places for each kind of HTTP, two for bytes; nginx: three, and two for gRPC.
        assert_eq!(seen, 11 + 5 + 11);
    }
}
