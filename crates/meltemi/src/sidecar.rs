//! The sidecar of `run` and `proxy`: their common flags, and what is told about it when it is up.

mod control;
mod flags;
mod tell;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use meltemi_control::parse_address;
use meltemi_names::{
    DEFAULT_NAMESPACE, DEFAULT_SERVICE_ACCOUNT, DEFAULT_TRUST_DOMAIN, TrustDomain, ports, variables,
};
use meltemi_proxy::start::{
    self, AppPort, Choices, Listen, ListenOptions, ProxyOptions, Running, StartError, Upstream,
    WorkloadOptions,
};
use meltemi_wire::transport::Target;
use meltemi_wire::workload_api::Socket;

use crate::exit::Failure;
use crate::state;
pub use meltemi_proxy::start::time;

use flags::{certificate_life, label, port, upstream};
pub use tell::Teller;

/// Where a sidecar listens and is reached that nobody has told anything else.
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The flags of a sidecar.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Args {
    /// The service that the workload belongs to; without it, it only calls others
    #[arg(long, env = "MELTEMI_SERVICE", value_name = "NAME")]
    service: Option<String>,
    /// The WorkloadGroup, of the workload's namespace, that the workload is a member of: it gives labels, ports, place and
    /// probe; what is said here goes before it
    #[arg(long, env = "MELTEMI_GROUP", value_name = "NAME")]
    group: Option<String>,
    /// Allow the probe of the workload's group to run its command (`exec`) on this machine, with the rights of this process
    #[arg(long, env = "MELTEMI_ALLOW_EXEC_PROBES")]
    allow_exec_probes: bool,
    /// A port of the application, and what is spoken on it: http, http2, grpc, tcp, ...; detected if not said. May be
    /// repeated
    #[arg(long = "port", env = "MELTEMI_PORT", value_delimiter = ',', value_parser = port, value_name = "PORT[/PROTOCOL]")]
    ports: Vec<AppPort>,
    /// Namespace of the workload
    #[arg(long, short = 'n', env = "MELTEMI_NAMESPACE", default_value = DEFAULT_NAMESPACE, value_name = "NS")]
    namespace: String,
    /// Version of the application: the label `version`
    #[arg(long, env = "MELTEMI_VERSION", value_name = "V")]
    version: Option<String>,
    /// A label of the workload; may be repeated
    #[arg(long = "label", value_parser = label, value_name = "K=V")]
    labels: Vec<(String, String)>,
    // Not the service's name: Istio and Kubernetes, and so `token create` and the policies and tokens that users have,
    // take `default` where nothing is said. The registry goes by whatever is told here.
    /// Service account that the workload's identity is of; one for each service lets policies tell services apart
    #[arg(long, env = "MELTEMI_SERVICE_ACCOUNT", default_value = DEFAULT_SERVICE_ACCOUNT, value_name = "SA")]
    service_account: String,
    /// Name of the workload; a name keeps its certificate and configuration for the next start. SERVICE-XXXXX if not
    /// given
    #[arg(long, env = "MELTEMI_NAME", value_name = "WORKLOAD")]
    name: Option<String>,
    /// IP address at which other machines reach this sidecar (127.0.0.1)
    #[arg(long, env = "MELTEMI_ADDRESS", value_name = "IP")]
    address: Option<IpAddr>,
    /// A local address that stands for a service; may be repeated
    #[arg(long = "upstream", value_parser = upstream, value_name = "HOST:PORT=LISTEN")]
    upstreams: Vec<Upstream>,
    /// Where the application's requests enter the mesh (127.0.0.1:15001, else a free port; `:0` for any, here and below)
    #[arg(long, env = "MELTEMI_OUTBOUND", value_parser = parse_address, value_name = "ADDR")]
    outbound: Option<SocketAddr>,
    /// Where the mesh's requests to the application arrive (port 15006 of --address)
    #[arg(long, env = "MELTEMI_INBOUND", value_parser = parse_address, value_name = "ADDR")]
    inbound: Option<SocketAddr>,
    /// Admin interface (127.0.0.1:15000)
    #[arg(long, env = "MELTEMI_ADMIN", value_parser = parse_address, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// Prometheus' /stats/prometheus (127.0.0.1:15020)
    #[arg(long, env = "MELTEMI_METRICS", value_parser = parse_address, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
    /// Health, /healthz/ready (127.0.0.1:15021)
    #[arg(long, env = "MELTEMI_HEALTH", value_parser = parse_address, value_name = "ADDR")]
    health: Option<SocketAddr>,
    /// Control plane on another machine; without it the one of the state directory
    #[arg(long, env = "MELTEMI_CONTROL", value_name = "https://HOST:15012")]
    control: Option<Target>,
    /// File with a join token (`meltemi token create`)
    #[arg(long, env = "MELTEMI_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// File with the mesh's root certificates, PEM (`meltemi token create --trust-bundle-out`)
    #[arg(long, env = "MELTEMI_TRUST_BUNDLE", value_name = "FILE")]
    trust_bundle: Option<PathBuf>,
    /// Socket of a SPIFFE Workload API, such as SPIRE's agent, that gives the certificate instead of the control plane
    #[arg(long, env = "SPIFFE_ENDPOINT_SOCKET", value_name = "unix:///PATH")]
    spiffe_endpoint_socket: Option<Socket>,
    /// Life of the certificate that the control plane is asked for, from 5m to 720h; it is renewed at half of it
    #[arg(long, env = "MELTEMI_CERTIFICATE_LIFE", default_value = "24h", value_parser = certificate_life, value_name = "TIME")]
    certificate_life: Duration,
    /// Trust domain of a mesh on other machines
    #[arg(long, env = "MELTEMI_TRUST_DOMAIN", default_value = DEFAULT_TRUST_DOMAIN, value_name = "DOMAIN")]
    trust_domain: TrustDomain,
    #[command(flatten)]
    state: state::Args,
    /// File that is written when the sidecar is ready: a JSON object with its addresses
    #[arg(long, env = "MELTEMI_READY_FILE", value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Threads that carry traffic; as the mesh's ProxyConfig says if not given, else one for each processor
    #[arg(long, env = "MELTEMI_WORKERS", value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// Whether each request is logged, on standard output; as the mesh's ProxyConfig says if not given, else off
    #[arg(long, env = variables::ACCESS_LOG, value_enum, value_name = "FORM")]
    access_log: Option<AccessLog>,
    /// At the end: how long callers have to let go of the workload, and then requests to finish; as the mesh's ProxyConfig says
    /// if not given, else 30s
    #[arg(long, env = variables::DRAIN_TIMEOUT, value_parser = time, value_name = "TIME")]
    drain_timeout: Option<Duration>,
    /// What to print when the sidecar is up: nothing but log lines, or its addresses as one line of JSON
    #[arg(long, short = 'o', value_enum, default_value = "text", value_name = "FORM")]
    output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum AccessLog {
    Text,
    Json,
    Off,
}

impl AccessLog {
    fn read(self) -> start::AccessLog {
        match self {
            AccessLog::Text => start::AccessLog::Text,
            AccessLog::Json => start::AccessLog::Json,
            AccessLog::Off => start::AccessLog::Off,
        }
    }
}

/// What is printed about a sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl Args {
    /// What the proxy is told, and how its addresses are told to others. `program` names a workload that has neither a
    /// name nor a service.
    pub fn read(self, program: &str) -> Result<(ProxyOptions, Teller), Failure> {
        if self.service.is_none() && self.group.is_none() && !self.ports.is_empty() {
            let message = "--port names a port of a service: add --service NAME or --group NAME, or leave --port out for a workload that \
                           only calls others";
            return Err(Failure::Usage(message.into()));
        }
        let state_dir = self.state.path()?;
        let control = control::find(&self, &state_dir)?;
        let listen = self.listen();
        let ephemeral = self.name.is_none();
        let choices = Choices {
            workers: self.workers,
            access_log: self.access_log.map(AccessLog::read),
            drain_timeout: self.drain_timeout,
        };
        let address = advertised(self.address, self.inbound);
        let workload = flags::workload(
            WorkloadOptions {
                name: self.name.unwrap_or_default(),
                namespace: self.namespace,
                service: self.service,
                group: self.group,
                service_account: self.service_account,
                address: address.unwrap_or(LOCAL),
                address_is_default: address.is_none(),
                ports: self.ports,
                labels: self.labels.into_iter().collect::<BTreeMap<_, _>>(),
            },
            self.version,
            program,
        )?;
        let teller = Teller::new(&workload, &self.upstreams, self.ready_file, self.output)?;
        let options = ProxyOptions {
            workload,
            control,
            workload_api: self.spiffe_endpoint_socket,
            certificate_life: self.certificate_life,
            listen,
            upstreams: self.upstreams,
            state_dir,
            ephemeral,
            choices,
            allow_exec_probes: self.allow_exec_probes,
        };
        Ok((options, teller))
    }

    fn listen(&self) -> ListenOptions {
        let choice = |given: Option<SocketAddr>, ip, port| match given {
            Some(address) => Listen::Exactly(address),
            None => Listen::Preferably(SocketAddr::new(ip, port)),
        };
        ListenOptions {
            outbound: choice(self.outbound, LOCAL, ports::OUTBOUND),
            inbound: choice(self.inbound, self.address.unwrap_or(LOCAL), ports::INBOUND),
            admin: choice(self.admin, LOCAL, ports::ADMIN),
            metrics: choice(self.metrics, LOCAL, ports::PROXY_METRICS),
            health: choice(self.health, LOCAL, ports::HEALTH),
        }
    }
}

/// The address that peers are told, if one was named: where only the listener's was given, and it is not every address, it
/// is that one.
fn advertised(address: Option<IpAddr>, inbound: Option<SocketAddr>) -> Option<IpAddr> {
    match inbound.map(|inbound| inbound.ip()) {
        Some(ip) if address.is_none_or(|it| it.is_loopback()) && !ip.is_unspecified() => Some(ip),
        _ => address,
    }
}

/// Starts the sidecar.
pub async fn start(options: ProxyOptions) -> Result<Running, Failure> {
    meltemi_proxy::start::start(options)
        .await
        .map_err(|error: StartError| Failure::Failed(error.to_string()))
}

#[cfg(test)]
mod tests;
