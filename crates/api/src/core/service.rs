//! `Service`: a name for workloads, with ports.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::metadata::{ObjectMeta, check_labels};
use crate::refuse::{Path, Report};
use crate::resource::Checked;
use crate::values::{Condition, Port, PortOrName};

/// A name for the workloads that its selector matches.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// `v1`.
    pub api_version: String,
    /// `Service`.
    pub kind: String,
    /// Name, labels and so on.
    pub metadata: ObjectMeta,
    /// Ports and selector.
    #[serde(default)]
    pub spec: ServiceSpec,
    /// Told by the server.
    #[serde(default)]
    pub status: ServiceStatus,
}

/// Ports and selector of a service.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceSpec {
    /// The ports on which it is called.
    pub ports: Vec<ServicePort>,
    /// The labels of its workloads; none are selected where it is left out.
    pub selector: BTreeMap<String, String>,
    /// How it is reached; `ClusterIP` where it is left out.
    pub r#type: Option<ServiceType>,
    /// Its virtual address; `None` for a headless one.
    #[serde(rename = "clusterIP")]
    pub cluster_ip: String,
    /// Its virtual addresses, one a family.
    #[serde(rename = "clusterIPs")]
    pub cluster_ips: Vec<String>,
    /// Further addresses on which nodes take its traffic.
    #[serde(rename = "externalIPs")]
    pub external_ips: Vec<String>,
    /// The host that an `ExternalName` stands for.
    pub external_name: String,
    /// Whether a client stays with a workload.
    pub session_affinity: Option<SessionAffinity>,
    /// How long a client stays.
    pub session_affinity_config: Option<SessionAffinityConfig>,
    /// The address that a load balancer is asked for.
    #[serde(rename = "loadBalancerIP")]
    pub load_balancer_ip: String,
    /// Whose traffic a load balancer takes.
    pub load_balancer_source_ranges: Vec<String>,
    /// Which load balancer is meant.
    pub load_balancer_class: Option<String>,
    /// Whether a load balancer needs ports of nodes.
    pub allocate_load_balancer_node_ports: Option<bool>,
    /// Whether traffic from outside may go on to other nodes.
    pub external_traffic_policy: Option<ExternalTrafficPolicy>,
    /// Whether traffic from inside may go on to other nodes.
    pub internal_traffic_policy: Option<InternalTrafficPolicy>,
    /// Where nodes tell load balancers of their health.
    pub health_check_node_port: Option<Port>,
    /// Whether workloads that are not ready have names too.
    pub publish_not_ready_addresses: bool,
    /// The families of its addresses.
    pub ip_families: Vec<IpFamily>,
    /// How many families are asked for.
    pub ip_family_policy: Option<IpFamilyPolicy>,
    /// Which workloads are preferred, as in `PreferClose`.
    pub traffic_distribution: Option<String>,
}

/// One port of a service.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServicePort {
    /// Its name, whose beginning tells the protocol, as in `http-web`. Needed where there are several ports.
    #[serde(default)]
    pub name: String,
    /// The number.
    pub port: Port,
    /// `TCP` where it is left out.
    pub protocol: Option<ServiceProtocol>,
    /// The protocol on top, as in `http`, `grpc` or `kubernetes.io/h2c`.
    pub app_protocol: Option<String>,
    /// The workloads' port; the same number where it is left out.
    pub target_port: Option<PortOrName>,
    /// The port on every node.
    #[schemars(range(min = 0, max = 65535))]
    pub node_port: Option<u32>,
}

/// What carries the bytes of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ServiceProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// How a service is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// By an address of the cluster.
    #[serde(rename = "ClusterIP")]
    ClusterIp,
    /// Also by a port of every node.
    NodePort,
    /// Also by a load balancer.
    LoadBalancer,
    /// As another name for a host.
    ExternalName,
}

/// Whether a client stays with a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum SessionAffinity {
    /// It does not.
    None,
    /// By its address.
    #[serde(rename = "ClientIP")]
    ClientIp,
}

/// How long a client stays with a workload.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SessionAffinityConfig {
    /// Of affinity by address.
    #[serde(rename = "clientIP")]
    pub client_ip: Option<ClientIpAffinity>,
}

/// How long a client's address is remembered.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ClientIpAffinity {
    /// Seconds, at most a day.
    #[schemars(range(min = 1, max = 86400))]
    pub timeout_seconds: Option<u32>,
}

/// Where traffic from outside may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ExternalTrafficPolicy {
    /// Anywhere.
    Cluster,
    /// To the node's own workloads.
    Local,
}

/// Where traffic from inside may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum InternalTrafficPolicy {
    /// Anywhere.
    Cluster,
    /// To the node's own workloads.
    Local,
}

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum IpFamily {
    /// IPv4.
    #[serde(rename = "IPv4")]
    V4,
    /// IPv6.
    #[serde(rename = "IPv6")]
    V6,
}

/// How many families of addresses are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum IpFamilyPolicy {
    /// One.
    SingleStack,
    /// Two where the cluster has them.
    PreferDualStack,
    /// Two.
    RequireDualStack,
}

/// What became of a service.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceStatus {
    /// Its load balancer.
    pub load_balancer: LoadBalancerStatus,
    /// More about it.
    pub conditions: Vec<Condition>,
}

/// What became of a load balancer.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LoadBalancerStatus {
    /// Its addresses.
    pub ingress: Vec<LoadBalancerIngress>,
}

/// One address of a load balancer.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct LoadBalancerIngress {
    /// As an IP address.
    pub ip: String,
    /// How the address is used.
    pub ip_mode: String,
    /// As a host name.
    pub hostname: String,
    /// Its ports.
    pub ports: Vec<PortStatus>,
}

/// One port of a load balancer.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct PortStatus {
    /// The number.
    pub port: Port,
    /// What carries its bytes.
    pub protocol: ServiceProtocol,
    /// What is wrong with it.
    pub error: Option<String>,
}

impl Checked for Service {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn check(&self, report: &mut Report) {
        let at = Path::of("spec");
        let spec = &self.spec;
        crate::subset::check(&self.metadata, report);
        check_labels(&spec.selector, &at.field("selector"), report);
        check_ports(&spec.ports, &at.field("ports"), report);
        check_addresses(spec, &at, report);
        if spec.r#type == Some(ServiceType::ExternalName) {
            let host = at.field("externalName");
            if spec.external_name.is_empty() {
                report.error(host, "missing; a service of type ExternalName names a host");
            } else if let Err(error) = spec.external_name.parse::<meltemi_names::Host>() {
                report.error(host, error.to_string());
            }
        } else if !spec.external_name.is_empty() && spec.r#type.is_some() {
            let message = "has an effect with type ExternalName alone";
            report.warn(at.field("externalName"), message);
        }
    }
}

fn check_ports(ports: &[ServicePort], at: &Path, report: &mut Report) {
    let mut names = HashMap::new();
    let mut numbers = HashMap::new();
    for (index, port) in ports.iter().enumerate() {
        let at = at.item(index);
        if port.name.is_empty() && ports.len() > 1 {
            report.error(at.field("name"), "missing; each of several ports needs a name");
        }
        if !port.name.is_empty() {
            if !meltemi_names::is_dns_label(&port.name) {
                let message = format!(
                    "`{}` is not a port's name: at most 63 lower-case letters, digits and `-`",
                    port.name
                );
                report.error(at.field("name"), message);
            }
            if let Some(first) = names.insert(port.name.as_str(), index) {
                let message = format!("`{}` is the name of port [{first}] already", port.name);
                report.error(at.field("name"), message);
            }
        }
        let protocol = port.protocol.unwrap_or(ServiceProtocol::Tcp);
        if let Some(first) = numbers.insert((port.port, protocol), index) {
            let message = format!("{} is the number of port [{first}] already", port.port.number());
            report.error(at.field("port"), message);
        }
    }
}

fn check_addresses(spec: &ServiceSpec, at: &Path, report: &mut Report) {
    let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
    let wrong = |text: &str| format!("`{text}` is not an IP address");
    let cluster_ip = spec.cluster_ip.as_str();
    if !["", "None"].contains(&cluster_ip) && !is_address(cluster_ip) {
        report
            .error(at.field("clusterIP"), wrong(cluster_ip))
            .suggest("or `None` for a headless service");
    }
    for (field, list) in [("clusterIPs", &spec.cluster_ips), ("externalIPs", &spec.external_ips)] {
        for (index, text) in list.iter().enumerate() {
            if text != "None" && !is_address(text) {
                report.error(at.field(field).item(index), wrong(text));
            }
        }
    }
    for (index, text) in spec.load_balancer_source_ranges.iter().enumerate() {
        if !crate::values::is_cidr(text) {
            let message = format!("`{text}` is not a block of IP addresses, as in `10.0.0.0/8`");
            report.error(at.field("loadBalancerSourceRanges").item(index), message);
        }
    }
}
