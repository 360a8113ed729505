//! The sockets of a control plane: opened before anything else is made, so that a port in use is known at once.

use std::io;
use std::net::SocketAddr;

use serde::Serialize;
use tokio::net::{TcpListener, UdpSocket};

use crate::error::ControlError;
use crate::options::{Addresses, Options};

/// How often a free port is sought that is free for both UDP and TCP.
const ATTEMPTS: usize = 16;

/// The addresses that are listened on; `None` is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// The API, HTTP.
    pub api: SocketAddr,
    /// Discovery in plaintext.
    pub xds: Option<SocketAddr>,
    /// Discovery, registration and certificates over TLS.
    pub secure_xds: SocketAddr,
    /// The name server, UDP and TCP.
    pub dns: Option<SocketAddr>,
    /// Metrics and health, HTTP.
    pub monitoring: Option<SocketAddr>,
}

/// The open sockets.
pub(crate) struct Sockets {
    pub(crate) api: TcpListener,
    pub(crate) xds: Option<TcpListener>,
    pub(crate) secure_xds: TcpListener,
    pub(crate) dns: Option<(UdpSocket, TcpListener)>,
    pub(crate) monitoring: Option<TcpListener>,
    pub(crate) bound: Bound,
}

/// What an address is for, and the flag that changes it.
#[derive(Debug, Clone, Copy)]
struct Role {
    name: &'static str,
    flag: &'static str,
    /// Whether it can be switched off.
    optional: bool,
}

const API: Role = Role { name: "API", flag: "--api", optional: false };
const XDS: Role = Role { name: "plaintext xDS", flag: "--xds", optional: true };
const SECURE_XDS: Role = Role { name: "xDS over TLS", flag: "--secure-xds", optional: false };
const DNS: Role = Role { name: "DNS", flag: "--dns", optional: true };
const MONITORING: Role = Role { name: "monitoring", flag: "--monitoring", optional: true };

impl Sockets {
    /// Opens all of them.
    pub(crate) async fn open(options: &Options) -> Result<Self, ControlError> {
        let Addresses { api, xds, secure_xds, dns, monitoring } = options.addresses;
        if !options.insecure_network {
            refuse_exposed(XDS, xds)?;
        }
        if options.insecure_loopback && !api.ip().is_loopback() {
            return Err(ControlError::Open(api));
        }
        let (api, api_address) = listen(API, api).await?;
        let (secure_xds, secure_address) = listen(SECURE_XDS, secure_xds).await?;
        let xds = listen_if(XDS, xds).await?;
        let monitoring = listen_if(MONITORING, monitoring).await?;
        let dns = match dns {
            Some(address) => Some(listen_dns(address).await?),
            None => None,
        };
        let bound = Bound {
            api: api_address,
            xds: xds.as_ref().map(|it| it.1),
            secure_xds: secure_address,
            dns: dns.as_ref().map(|it| it.1),
            monitoring: monitoring.as_ref().map(|it| it.1),
        };
        Ok(Sockets {
            api,
            xds: xds.map(|it| it.0),
            secure_xds,
            dns: dns.map(|it| it.0),
            monitoring: monitoring.map(|it| it.0),
            bound,
        })
    }
}

fn refuse_exposed(role: Role, address: Option<SocketAddr>) -> Result<(), ControlError> {
    match address {
        Some(address) if !address.ip().is_loopback() => {
            Err(ControlError::Plaintext { role: role.name, address, flag: role.flag })
        }
        _ => Ok(()),
    }
}

async fn listen_if(
    role: Role,
    address: Option<SocketAddr>,
) -> Result<Option<(TcpListener, SocketAddr)>, ControlError> {
    match address {
        Some(address) => listen(role, address).await.map(Some),
        None => Ok(None),
    }
}

async fn listen(
    role: Role,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), ControlError> {
    let listener = TcpListener::bind(address).await.map_err(|e| failed(role, address, e))?;
    let bound = listener.local_addr().map_err(|e| failed(role, address, e))?;
    Ok((listener, bound))
}

/// UDP and TCP on the same port; a free one is free for both.
async fn listen_dns(
    address: SocketAddr,
) -> Result<((UdpSocket, TcpListener), SocketAddr), ControlError> {
    let mut attempt = 1;
    loop {
        let (tcp, bound) = listen(DNS, address).await?;
        match UdpSocket::bind(bound).await {
            Ok(udp) => return Ok(((udp, tcp), bound)),
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse
                    && address.port() == 0
                    && attempt < ATTEMPTS =>
            {
                attempt += 1;
            }
            Err(error) => return Err(failed(DNS, bound, error)),
        }
    }
}

fn failed(role: Role, address: SocketAddr, source: io::Error) -> ControlError {
    let Role { name, flag, optional } = role;
    let or_off =
        if optional { format!(", or switch it off with `{flag} off`") } else { String::new() };
    let remedy = match source.kind() {
        io::ErrorKind::AddrInUse => format!(
            "another process has it: stop that one, or choose another address with {flag} (`{flag} :0` picks a free port){or_off}"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("ports below 1024 need a privilege: choose another with {flag}{or_off}")
        }
        _ => format!("choose another address with {flag}{or_off}"),
    };
    ControlError::Bind { address, role: name, source, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        let trust_domain = "cluster.local".parse().unwrap();
        Options { addresses: Addresses::free(), ..Options::new("/nowhere", trust_domain) }
    }

    #[tokio::test]
    async fn a_port_in_use_is_named_with_the_flag_that_changes_it() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        type Change = fn(&mut Addresses, SocketAddr);
        let cases: [(Change, &str); 5] = [
            (|it, address| it.api = address, "--api"),
            (|it, address| it.xds = Some(address), "--xds"),
            (|it, address| it.secure_xds = address, "--secure-xds"),
            (|it, address| it.dns = Some(address), "--dns"),
            (|it, address| it.monitoring = Some(address), "--monitoring"),
        ];
        for (change, flag) in cases {
            let mut options = options();
            change(&mut options.addresses, address);
            let message = Sockets::open(&options).await.err().unwrap().to_string();
            assert!(message.contains(&address.to_string()), "{message}");
            assert!(message.contains(&format!("{flag} :0")), "{message}");
        }
    }

    #[tokio::test]
    async fn plaintext_is_for_the_loopback_unless_it_is_asked_for() {
        let everywhere = "0.0.0.0:0".parse().unwrap();
        let mut options = options();
        options.addresses.xds = Some(everywhere);
        let message = Sockets::open(&options).await.err().unwrap().to_string();
        assert!(message.contains("--insecure-network") && message.contains("--xds"), "{message}");
        options.insecure_network = true;
        assert_eq!(Sockets::open(&options).await.unwrap().bound.xds.unwrap().ip(), everywhere.ip());
        options.addresses.api = everywhere;
        options.insecure_loopback = true;
        let message = Sockets::open(&options).await.err().unwrap().to_string();
        assert!(message.contains("--insecure-loopback"), "{message}");
    }

    #[tokio::test]
    async fn names_are_served_on_one_port_over_both_transports() {
        let sockets = Sockets::open(&options()).await.unwrap();
        let (udp, tcp) = sockets.dns.unwrap();
        assert_eq!(udp.local_addr().unwrap(), tcp.local_addr().unwrap());
        assert_eq!(sockets.bound.dns, udp.local_addr().ok());
    }
}
