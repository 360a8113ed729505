//! What a control plane is told at its start, and how the words of its flags are read.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use meltemi_api::MeshConfig;
use meltemi_names::{DEFAULT_DOMAIN_SUFFIX, TrustDomain, ports};
use meltemi_policy::path::Normalization;

use crate::key_sets::JwksAllow;

/// Everything that a control plane is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where its store, CA and `control.json` are kept.
    pub state_dir: PathBuf,
    /// Where the resources are.
    pub store: StoreChoice,
    /// Where it listens.
    pub addresses: Addresses,
    /// The trust domain of the mesh's identities.
    pub trust_domain: TrustDomain,
    /// The DNS suffix of the mesh's own services.
    pub domain_suffix: String,
    /// Whom the name server asks for names that are not the mesh's; the machine's resolvers if empty.
    pub dns_upstreams: Vec<SocketAddr>,
    /// A CA in the layout of Istio's `cacerts` secret, to be used instead of one of its own.
    pub cacerts: Option<PathBuf>,
    /// Files with roots that are believed beside the CA's own: of SPIRE, say.
    pub trust_roots: Vec<PathBuf>,
    /// Names, beside loopback ones, under which the API may be asked.
    pub api_names: Vec<String>,
    /// Where changes and uses of tokens are told.
    pub audit_log: AuditChoice,
    /// How proxies bring paths of requests into one form.
    pub path_normalization: Normalization,
    /// The mesh's own settings.
    pub mesh_config: MeshConfig,
    /// Lets every process of this machine use the API without a token. Only with a loopback address.
    pub insecure_loopback: bool,
    /// Lets the two plaintext ports, API and xDS, listen where other machines can reach them.
    pub insecure_network: bool,
    /// What may be asked for keys of tokens though its address is not public.
    pub jwks_allow: Vec<JwksAllow>,
    /// How long fetched keys are used before they are fetched again.
    pub jwks_refresh: Duration,
    /// How often proxies report what became of their calls.
    pub report_every: Duration,
}

/// How often proxies report what became of their calls.
pub const DEFAULT_REPORT_EVERY: Duration = Duration::from_secs(1);

/// How long fetched keys are used (Istio's default of PILOT_JWT_PUB_KEY_REFRESH_INTERVAL).
pub const DEFAULT_JWKS_REFRESH: Duration = Duration::from_secs(20 * 60);

impl Options {
    /// The defaults, with everything kept in `state_dir`.
    pub fn new(state_dir: impl Into<PathBuf>, trust_domain: TrustDomain) -> Self {
        Options {
            state_dir: state_dir.into(),
            store: StoreChoice::Embedded,
            addresses: Addresses::default(),
            trust_domain,
            domain_suffix: DEFAULT_DOMAIN_SUFFIX.into(),
            dns_upstreams: Vec::new(),
            cacerts: None,
            trust_roots: Vec::new(),
            api_names: Vec::new(),
            audit_log: AuditChoice::StateDir,
            path_normalization: Normalization::default(),
            mesh_config: MeshConfig::default(),
            insecure_loopback: false,
            insecure_network: false,
            jwks_allow: Vec::new(),
            jwks_refresh: DEFAULT_JWKS_REFRESH,
            report_every: DEFAULT_REPORT_EVERY,
        }
    }
}

/// Where a control plane listens; port 0 picks a free one, `None` is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The Kubernetes-shaped API, HTTP.
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

impl Default for Addresses {
    fn default() -> Self {
        Addresses {
            api: loopback(ports::API),
            xds: Some(loopback(ports::XDS)),
            secure_xds: loopback(ports::SECURE_XDS),
            dns: Some(loopback(ports::DNS)),
            monitoring: Some(loopback(ports::MONITORING)),
        }
    }
}

impl Addresses {
    /// Free ports of the loopback for everything.
    pub fn free() -> Self {
        let free = loopback(0);
        Addresses {
            api: free,
            xds: Some(free),
            secure_xds: free,
            dns: Some(free),
            monitoring: Some(free),
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)
}

/// Reads the address of a listener: `IP:PORT`, `localhost:PORT` or `:PORT` (the loopback). Port 0 picks a free one.
///
/// # Errors
/// What is expected, for the user.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let wrong = || {
        format!("`{text}` is not an address to listen on: expected IP:PORT, or :PORT for 127.0.0.1")
    };
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    match host {
        "" | "localhost" => Ok(loopback(port)),
        host => {
            let ip: IpAddr = host.parse().map_err(|_| wrong())?;
            Ok(SocketAddr::new(ip, port))
        }
    }
}

/// Reads the address of a listener that can be left out: as [`parse_address`], or `off`.
///
/// # Errors
/// What is expected, for the user.
pub fn parse_optional_address(text: &str) -> Result<Option<SocketAddr>, String> {
    match text {
        "off" => Ok(None),
        text => {
            parse_address(text).map(Some).map_err(|message| format!("{message}; or `off` for none"))
        }
    }
}

/// Where the resources are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreChoice {
    /// One file in the state directory.
    Embedded,
    /// Nowhere: gone with the process.
    Memory,
    /// A folder of YAML files.
    Directory(PathBuf),
}

impl FromStr for StoreChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':').map_or((text, None), |(kind, rest)| (kind, Some(rest))) {
            ("embedded", None) => Ok(StoreChoice::Embedded),
            ("memory", None) => Ok(StoreChoice::Memory),
            ("dir", Some(path)) if !path.is_empty() => Ok(StoreChoice::Directory(path.into())),
            ("etcd" | "kube", _) => Err(format!(
                "the store `{text}` is not in this build: use `embedded`, `memory` or `dir:PATH`"
            )),
            _ => {
                Err(format!("`{text}` is not a store: expected `embedded`, `memory` or `dir:PATH`"))
            }
        }
    }
}

/// Where the audit log is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AuditChoice {
    /// `audit.log` in the state directory.
    #[default]
    StateDir,
    /// This file.
    File(PathBuf),
    /// There is none.
    Off,
}

impl FromStr for AuditChoice {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "" => AuditChoice::StateDir,
            "off" => AuditChoice::Off,
            path => AuditChoice::File(path.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, expected) in [
            ("127.0.0.1:15010", Some("127.0.0.1:15010")),
            ("0.0.0.0:0", Some("0.0.0.0:0")),
            ("[::1]:80", Some("[::1]:80")),
            (":0", Some("127.0.0.1:0")),
            (":15010", Some("127.0.0.1:15010")),
            ("localhost:7", Some("127.0.0.1:7")),
            ("15010", None),
            ("127.0.0.1", None),
            ("127.0.0.1:70000", None),
            ("mesh.example.com:80", None),
            ("", None),
        ] {
            let read = parse_address(text).ok().map(|address| address.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
        assert_eq!(parse_optional_address("off"), Ok(None));
        assert!(parse_optional_address("none").unwrap_err().contains("`off`"));
        assert!(parse_address("off").is_err());
    }

    #[test]
    fn stores_are_chosen_by_word() {
        for (text, expected) in [
            ("embedded", Ok(StoreChoice::Embedded)),
            ("memory", Ok(StoreChoice::Memory)),
            ("dir:/etc/mesh", Ok(StoreChoice::Directory("/etc/mesh".into()))),
            ("dir:", Err("is not a store")),
            ("etcd:http://127.0.0.1:2379", Err("is not in this build")),
            ("kube", Err("is not in this build")),
            ("sqlite", Err("is not a store")),
        ] {
            match (text.parse::<StoreChoice>(), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(part)) => assert!(found.contains(part), "{found}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }
}
