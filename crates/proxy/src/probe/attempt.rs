//! One attempt of a probe: a request, a connection, a command, or a question to gRPC's health service.

mod exec;
pub(super) mod grpc;
mod http;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::net::TcpStream;

use super::plan::{Place, Plan, Way};

/// What a sidecar needs to make attempts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempts {
    /// Whether commands that the control plane names may be run on this machine.
    pub(super) allow_exec: bool,
}

impl Attempts {
    /// Makes an attempt.
    ///
    /// # Errors
    /// Why it has failed, for people.
    pub(super) async fn make(self, plan: &Plan) -> Result<(), String> {
        match tokio::time::timeout(plan.timeout, self.attempt(&plan.way)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("{}: no answer within {:?}", describe(&plan.way), plan.timeout)),
        }
    }

    async fn attempt(self, way: &Way) -> Result<(), String> {
        let outcome = match way {
            Way::Http(get) => http::get(get).await,
            Way::Tcp(place) => place.connect().await.map(drop).map_err(|error| error.to_string()),
            Way::Exec(_) if !self.allow_exec => {
                Err("commands of probes are not run here, since they come from the \
                control plane: start the sidecar with --allow-exec-probes to allow them"
                    .into())
            }
            Way::Exec(command) => exec::run(command).await,
            Way::Grpc(port, service) => grpc::check(*port, service).await,
        };
        outcome.map_err(|reason| format!("{}: {reason}", describe(way)))
    }
}

/// What an attempt is, for people.
fn describe(way: &Way) -> String {
    match way {
        Way::Http(get) => {
            let scheme = if get.tls { "https" } else { "http" };
            format!("httpGet {scheme}://{}{}", get.place.authority(), get.path)
        }
        Way::Tcp(place) => format!("tcpSocket {}", place.authority()),
        Way::Exec(command) => {
            format!("exec {}", command.first().map(String::as_str).unwrap_or_default())
        }
        Way::Grpc(port, service) => format!("grpc port {port} service `{service}`"),
    }
}

impl Place {
    /// The application beside the sidecar, at either loopback address.
    pub(super) fn local(port: u16) -> Place {
        Place { host: String::new(), port }
    }

    /// `HOST:PORT`.
    fn authority(&self) -> String {
        match self.host.as_str() {
            "" => format!("localhost:{}", self.port),
            host if host.parse::<Ipv6Addr>().is_ok() => format!("[{host}]:{}", self.port),
            host => format!("{host}:{}", self.port),
        }
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        if !self.host.is_empty() {
            return TcpStream::connect((&*self.host, self.port)).await;
        }
        match TcpStream::connect((IpAddr::V4(Ipv4Addr::LOCALHOST), self.port)).await {
            Ok(stream) => Ok(stream),
            Err(error) => {
                let other = TcpStream::connect((IpAddr::V6(Ipv6Addr::LOCALHOST), self.port)).await;
                other.map_err(|_| error)
            }
        }
    }
}

#[cfg(test)]
mod tests;
