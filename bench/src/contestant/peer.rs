//! Envoy, nginx and HAProxy, each with its configuration from `bench/peers/`.

use std::net::SocketAddr;
use std::path::Path;

use super::change::{Changer, Eds};
use super::{Kind, Place, Special, Starting, find};
use crate::certificates::NAME;
use crate::error::BenchError;
use crate::process::Process;
use crate::scenario::{Carried, Topology, Wire};
use crate::template::{fill, repeat};

/// The configuration for a place, if the peer can carry this at all.
fn template(kind: Kind, wire: Wire, special: &Special, place: Place) -> Option<&'static str> {
    match kind {
        Kind::Envoy if special.services.is_some() => {
            return Some(include_str!("../../peers/envoy/services.yaml"));
        }
        Kind::Envoy if special.changes && place == Place::Client => {
            return Some(include_str!("../../peers/envoy/client-eds.yaml"));
        }
        // There is no configuration for services by the thousand.
        Kind::Nginx | Kind::Haproxy if special.services.is_some() => return None,
        // Its weights change by a reload only.
        Kind::Nginx if special.changes => return None,
        _ => {}
    }
    match kind {
        Kind::Envoy => envoy(wire.carried(), place),
        Kind::Nginx => nginx(wire, place),
        Kind::Haproxy => haproxy(wire.carried(), place),
        Kind::Direct | Kind::Relay | Kind::Meltemi | Kind::Rules => None,
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
        (Wire::Grpc | Wire::GrpcStream, Place::Client) => {
            include_str!("../../peers/nginx/client-grpc.conf")
        }
        (Wire::Grpc | Wire::GrpcStream, Place::Server) => {
            include_str!("../../peers/nginx/server-grpc.conf")
        }
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
    let (wire, special) = (starting.setup.wire, starting.special);
    let places: &[Place] = match starting.setup.topology {
        Topology::Pair => &[Place::Client, Place::Server],
        Topology::Single => &[Place::Single],
    };
    if places.iter().any(|place| template(kind, wire, &special, *place).is_none()) {
        return Ok(Some(
            "it cannot do this, or has no configuration for it in bench/peers".to_owned(),
        ));
    }
    starting.lay_out(|starting, place, listen, to| {
        let name = starting.name(place);
        let admin = starting.free()?;
        let text = template(kind, wire, &special, place).unwrap_or_default();
        let text = repeat(text, special.services.unwrap_or(1));
        let values = values(starting, &name, listen, admin);
        if special.changes && place != Place::Server {
            let changer = changer(kind, starting, &name, to, admin)?;
            starting.contestant.changer = Some(changer);
        }
        let text = fill(&text, &values, to).map_err(|missing| BenchError::Unclear {
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

/// How its caller's side is told of other weights: Envoy by the file of its endpoints, HAProxy over its socket.
fn changer(
    kind: Kind,
    starting: &Starting<'_>,
    name: &str,
    to: &[SocketAddr],
    admin: SocketAddr,
) -> Result<Changer, BenchError> {
    if kind == Kind::Haproxy {
        return Ok(Changer::Haproxy(starting.directory.join(format!("{name}.sock"))));
    }
    let eds = Eds::new(starting.directory.join(format!("{name}-eds")), to, admin);
    eds.write(0).map_err(BenchError::system("write Envoy's endpoints"))?;
    Ok(Changer::Envoy(eds))
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
    let resumes = !starting.special.full_handshakes;
    let on = |word: &str| if resumes { String::new() } else { word.to_owned() };
    // HAProxy will not start with more than the files of a process allow for.
    let room = starting.special.connections + 500;
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
        ("session_keys", usize::from(resumes).to_string()),
        ("full_handshakes", (!resumes).to_string()),
        ("no_reuse", on("no-ssl-reuse")),
        ("no_tickets", on("no-tls-tickets")),
        ("session_cache", if resumes { "20000" } else { "0" }.to_owned()),
        ("max_connections", room.max(9000).to_string()),
        ("protocol_options", choose("http2_protocol_options", "http_protocol_options")),
    ]
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;
    use crate::contestant::Setup;
    use crate::scenario::Scenario;

    #[test]
    fn every_template_is_filled_in_whole() {
        let endpoints = ["127.0.0.1:7".parse().unwrap(), "127.0.0.1:8".parse().unwrap()];
        let own = "127.0.0.1:9".parse().unwrap();
        let mut seen = 0;
        for (scenario, services) in
            Scenario::value_variants().iter().flat_map(|it| [(it, None), (it, Some(2))])
        {
            let wire = scenario.wire();
            let setup = Setup { topology: scenario.topology(), wire, workers: 2, endpoints: 1 };
            let special = Special {
                services,
                changes: *scenario == Scenario::Churn,
                full_handshakes: *scenario == Scenario::Handshakes,
                ..Special::default()
            };
            let mut ports = crate::ports::Ports::new();
            let mut contestant = crate::contestant::Contestant::new(Kind::Envoy);
            let starting = Starting {
                contestant: &mut contestant,
                directory: Path::new("/d"),
                ports: &mut ports,
                endpoints: &endpoints,
                wrapper: None,
                setup: &setup,
                special,
            };
            let values = values(&starting, "n", own, own);
            for kind in [Kind::Envoy, Kind::Nginx, Kind::Haproxy] {
                for place in [Place::Client, Place::Server, Place::Single] {
                    let Some(template) = template(kind, wire, &special, place) else { continue };
                    let filled = fill(&repeat(template, 2), &values, &endpoints).unwrap();
                    // The file of Envoy's endpoints is not its configuration's.
                    let by_file = filled.contains("n-eds/endpoints.json");
                    for port in if by_file { &[9][..] } else { &[7, 8, 9] } {
                        let written =
                            [format!("127.0.0.1:{port}"), format!("port_value: {port} }}")];
                        assert!(written.iter().any(|it| filled.contains(it)), "{filled}");
                    }
                    seen += 1;
                }
            }
        }
        assert!(seen > 50, "{seen}");
    }
}
