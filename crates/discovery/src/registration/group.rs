//! A `WorkloadGroup` as registration uses it: what a member's entry takes from it, and what its sidecar is told.

use std::collections::BTreeMap;

use meltemi_wire::proto::meltemi::v1::probe::Way;
use meltemi_wire::proto::meltemi::v1::{
    self as proto, ExecProbe, GrpcProbe, HttpProbe, ProbeHeader, RegisteredWorkload, TcpProbe,
};
use serde::Deserialize;
use serde_json::Value;

/// The name of the port that a member names first, where its group has no name for it.
const MAIN: &str = "main";

/// A group at one version of its object.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    /// The store's version of the object.
    pub(super) version: u64,
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    metadata: Metadata,
    template: Template,
    probe: Option<Probe>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Template {
    address: String,
    ports: BTreeMap<String, u32>,
    labels: BTreeMap<String, String>,
    network: String,
    locality: String,
    weight: u32,
    service_account: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Probe {
    initial_delay_seconds: u32,
    timeout_seconds: u32,
    period_seconds: u32,
    success_threshold: u32,
    failure_threshold: u32,
    http_get: Option<HttpGet>,
    tcp_socket: Option<Socket>,
    exec: Option<Exec>,
    grpc: Option<Grpc>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct HttpGet {
    path: String,
    port: u32,
    host: String,
    scheme: String,
    http_headers: Vec<Header>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Header {
    name: String,
    value: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Socket {
    host: String,
    port: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Exec {
    command: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Grpc {
    port: u32,
    service: String,
}

impl Group {
    /// Reads the object of this name.
    pub(super) fn read(name: &str, version: u64, object: Value) -> Result<Group, String> {
        let spec = without_nulls(object)["spec"].take();
        let spec: Spec = serde_json::from_value(spec).map_err(|error| format!("spec: {error}"))?;
        if spec.template.address.starts_with("unix:") {
            return Err(
                "spec.template.address: Unix sockets of other workloads cannot be called".into()
            );
        }
        Ok(Group { name: name.to_owned(), version, spec })
    }

    /// Why a workload cannot be a member: a template that names a service account is for workloads that have proved to
    /// be of it.
    pub(super) fn objection(&self, workload: &RegisteredWorkload) -> Option<String> {
        let (wanted, own) = (&self.spec.template.service_account, &workload.service_account);
        (!wanted.is_empty() && wanted != own).then(|| {
            format!(
                "WorkloadGroup {}/{} is of service account `{wanted}`, and this workload of `{own}`: start it with \
                 --service-account {wanted}",
                workload.namespace, self.name
            )
        })
    }

    /// The workload with what it leaves to its group. Of labels, those of the workload go before the group's
    /// `metadata`, and that before the template, as in Istio's auto-registration.
    pub(super) fn fill(&self, workload: &RegisteredWorkload) -> RegisteredWorkload {
        let Spec { metadata, template, .. } = &self.spec;
        let mut filled = workload.clone();
        let mut labels = template.labels.clone();
        labels.extend(metadata.labels.clone());
        labels.extend(std::mem::take(&mut filled.labels));
        filled.labels = labels;
        if workload.address_is_default && !template.address.is_empty() {
            filled.address.clone_from(&template.address);
        }
        if filled.locality.is_empty() {
            filled.locality.clone_from(&template.locality);
        }
        if filled.network.is_empty() {
            filled.network.clone_from(&template.network);
        }
        if filled.weight == 0 {
            filled.weight = template.weight;
        }
        filled
    }

    /// The ports of a member by name: its own if it has any, under the group's names for these numbers; else the group's.
    pub(super) fn ports(&self, workload: &RegisteredWorkload) -> BTreeMap<String, u32> {
        let known = &self.spec.template.ports;
        if workload.ports.is_empty() {
            return known.clone();
        }
        let mut ports = BTreeMap::new();
        for (at, port) in workload.ports.iter().enumerate() {
            let names: Vec<&String> = known
                .iter()
                .filter(|(_, number)| **number == port.number)
                .map(|(name, _)| name)
                .collect();
            match names.as_slice() {
                [] if at == 0 && !known.contains_key(MAIN) => {
                    ports.insert(MAIN.to_owned(), port.number);
                }
                [] => drop(ports.insert(format!("port-{}", port.number), port.number)),
                names => ports.extend(names.iter().map(|name| ((*name).clone(), port.number))),
            }
        }
        ports
    }

    /// The service account that members must be of; empty for any.
    pub(super) fn account(&self) -> &str {
        &self.spec.template.service_account
    }

    /// The labels of members, as far as the group gives them.
    pub(super) fn labels(&self) -> BTreeMap<&str, &str> {
        let Spec { metadata, template, .. } = &self.spec;
        let all = template.labels.iter().chain(&metadata.labels);
        all.map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }

    /// The annotations of members' entries.
    pub(super) fn annotations(&self) -> &BTreeMap<String, String> {
        &self.spec.metadata.annotations
    }

    /// What a member's sidecar is told.
    pub(super) fn message(&self, workload: &RegisteredWorkload) -> proto::Group {
        let mut ports: Vec<u32> = self.ports(workload).into_values().collect();
        ports.sort_unstable();
        ports.dedup();
        proto::Group { ports, probe: self.spec.probe.as_ref().map(Probe::message) }
    }
}

impl Probe {
    fn message(&self) -> proto::Probe {
        let http = self.http_get.as_ref().map(|http| {
            Way::HttpGet(HttpProbe {
                path: http.path.clone(),
                port: http.port,
                host: http.host.clone(),
                tls: http.scheme == "HTTPS",
                headers: http
                    .http_headers
                    .iter()
                    .map(|it| ProbeHeader { name: it.name.clone(), value: it.value.clone() })
                    .collect(),
            })
        });
        let tcp = self
            .tcp_socket
            .as_ref()
            .map(|tcp| Way::TcpSocket(TcpProbe { host: tcp.host.clone(), port: tcp.port }));
        let exec =
            self.exec.as_ref().map(|exec| Way::Exec(ExecProbe { command: exec.command.clone() }));
        let grpc = self
            .grpc
            .as_ref()
            .map(|grpc| Way::Grpc(GrpcProbe { port: grpc.port, service: grpc.service.clone() }));
        proto::Probe {
            initial_delay_seconds: self.initial_delay_seconds,
            timeout_seconds: self.timeout_seconds,
            period_seconds: self.period_seconds,
            success_threshold: self.success_threshold,
            failure_threshold: self.failure_threshold,
            way: http.or(tcp).or(exec).or(grpc),
        }
    }
}

/// `null` stands for a field that was left out.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use meltemi_wire::proto::meltemi::v1::WorkloadPort;
    use serde_json::json;

    use super::*;

    fn group(spec: Value) -> Group {
        Group::read("web", 1, json!({"spec": spec})).unwrap()
    }

    fn workload(ports: &[u32]) -> RegisteredWorkload {
        RegisteredWorkload {
            namespace: "shop".into(),
            service_account: "web".into(),
            address: "127.0.0.1".into(),
            ports: ports
                .iter()
                .map(|number| WorkloadPort { number: *number, ..WorkloadPort::default() })
                .collect(),
            ..RegisteredWorkload::default()
        }
    }

    #[test]
    fn what_a_workload_says_goes_before_the_metadata_and_that_before_the_template() {
        let group = group(json!({
            "metadata": {"labels": {"a": "metadata", "b": "metadata"}, "annotations": null},
            "template": {
                "labels": {"a": "template", "b": "template", "c": "template"},
                "address": "10.0.0.9", "locality": "eu/a", "network": "n", "weight": 3,
            },
        }));
        let asked = RegisteredWorkload {
            labels: [("a".to_owned(), "own".to_owned())].into(),
            ..workload(&[])
        };
        let filled = group.fill(&asked);
        let labels: Vec<_> = filled.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(labels, ["a=own", "b=metadata", "c=template"]);
        assert_eq!((&*filled.locality, &*filled.network, filled.weight), ("eu/a", "n", 3));
        assert_eq!(filled.address, "127.0.0.1", "the workload has named its address");
        let unnamed = RegisteredWorkload { address_is_default: true, ..asked.clone() };
        assert_eq!(group.fill(&unnamed).address, "10.0.0.9");
        let own = RegisteredWorkload { locality: "us".into(), weight: 7, ..asked };
        let filled = group.fill(&own);
        assert_eq!((&*filled.locality, filled.weight), ("us", 7));
    }

    #[test]
    fn ports_of_the_workload_go_before_those_of_the_group_and_keep_its_names() {
        let group = group(json!({"template": {"ports": {"http": 80, "web": 80, "grpc": 90}}}));
        let ports = |given: &[u32]| {
            let ports = group.ports(&workload(given)).into_iter();
            ports.map(|(name, port)| format!("{name}:{port}")).collect::<Vec<_>>()
        };
        assert_eq!(ports(&[]), ["grpc:90", "http:80", "web:80"]);
        assert_eq!(ports(&[90]), ["grpc:90"]);
        assert_eq!(ports(&[81, 80, 82]), ["http:80", "main:81", "port-82:82", "web:80"]);
        assert_eq!(group.message(&workload(&[])).ports, [80, 90]);
    }

    #[test]
    fn a_template_of_a_service_account_is_for_its_workloads_alone() {
        assert_eq!(group(json!({"template": {}})).objection(&workload(&[])), None);
        assert_eq!(
            group(json!({"template": {"serviceAccount": "web"}})).objection(&workload(&[])),
            None
        );
        let other = group(json!({"template": {"serviceAccount": "db"}}));
        let objection = other.objection(&workload(&[])).unwrap();
        assert!(objection.contains("shop/web"), "{objection}");
        assert!(objection.contains("--service-account db"), "{objection}");
    }

    #[test]
    fn a_probe_is_told_as_it_is_written() {
        let http = group(json!({"template": {}, "probe": {
            "periodSeconds": 5,
            "httpGet": {"port": 80, "path": "/x", "scheme": "HTTPS", "httpHeaders": [{"name": "a", "value": "b"}]},
        }}));
        let probe = http.message(&workload(&[])).probe.unwrap();
        assert_eq!((probe.period_seconds, probe.timeout_seconds), (5, 0));
        let Some(Way::HttpGet(http)) = probe.way else { panic!("{probe:?}") };
        assert!(http.tls && http.path == "/x" && http.headers.len() == 1, "{http:?}");
        let exec = group(json!({"probe": {"exec": {"command": ["a", "b"]}}}));
        let probe = exec.message(&workload(&[])).probe.unwrap();
        assert_eq!(probe.way, Some(Way::Exec(ExecProbe { command: vec!["a".into(), "b".into()] })));
        for wrong in
            [json!({"probe": {"periodSeconds": -1}}), json!({"template": {"address": "unix:///a"}})]
        {
            assert!(Group::read("web", 1, json!({"spec": wrong})).is_err());
        }
    }
}
