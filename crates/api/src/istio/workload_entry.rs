//! `WorkloadEntry`: a process that is no pod, with its address and ports.

use std::collections::BTreeMap;

use meltemi_names::{Host, is_dns_subdomain};
use schemars::JsonSchema;
use serde::Deserialize;

use super::status::Status;
use crate::metadata::{ObjectMeta, check_labels};
use crate::object::{Object, Spec};
use crate::refuse::{Path, Report};
use crate::values::Port;

/// A process that can be called.
pub type WorkloadEntry = Object<WorkloadEntrySpec, Status>;

/// The sidecar's inbound port, where it is not the usual one.
const INBOUND_PORT: &str = "meltemi.io/inbound-port";
/// What begins the path of a Unix socket.
const UNIX: &str = "unix:";

/// Where a workload is and who it is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct WorkloadEntrySpec {
    /// Its IP address or host name. Istio's `unix://` is refused: nobody beside the socket's own machine can call it.
    pub address: String,
    /// Its ports by name.
    pub ports: BTreeMap<String, Port>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The network that its address belongs to.
    pub network: String,
    /// Where it stands, as in `region/zone/subzone`.
    pub locality: String,
    /// Its share of the traffic in relation to others.
    pub weight: Option<u32>,
    /// The service account that it runs under.
    pub service_account: String,
}

impl Spec for WorkloadEntrySpec {
    fn check(&self, metadata: &ObjectMeta, at: &Path, report: &mut Report) {
        self.check_endpoint(at, report);
        if self.address.is_empty() && self.network.is_empty() {
            let message = "missing; without it nobody can call the workload";
            report.error(at.field("address"), message);
        }
        if let Some(port) = metadata.annotations.get(INBOUND_PORT)
            && port.parse::<u16>().is_ok_and(|port| port == 0) | port.parse::<u16>().is_err()
        {
            let at = Path::of("metadata").field("annotations").field(INBOUND_PORT);
            report.error(at, format!("`{port}` is not a port (1 to 65535)"));
        }
    }
}

impl WorkloadEntrySpec {
    /// Checks what holds for endpoints of service entries and templates of groups too.
    pub(crate) fn check_endpoint(&self, at: &Path, report: &mut Report) {
        self.check_address(at, report);
        check_labels(&self.labels, &at.field("labels"), report);
        for name in self.ports.keys() {
            let fits = name.len() < 63
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !name.is_empty()
                && !name.starts_with('-')
                && !name.ends_with('-');
            if !fits {
                let message = format!("`{name}` is not a port's name: letters, digits and `-`");
                report.error(at.field("ports").field(name), message).on_key();
            }
        }
        if !self.service_account.is_empty() && !is_dns_subdomain(&self.service_account) {
            let message = format!("`{}` is not a service account's name", self.service_account);
            report.error(at.field("serviceAccount"), message);
        }
        let parts: Vec<_> = self.locality.split('/').collect();
        if !self.locality.is_empty() && (parts.len() > 3 || parts.contains(&"")) {
            let message =
                format!("`{}` is not a locality: write `REGION[/ZONE[/SUBZONE]]`", self.locality);
            report.error(at.field("locality"), message);
        }
    }

    fn check_address(&self, at: &Path, report: &mut Report) {
        let address = self.address.as_str();
        let at_address = at.field("address");
        if address.starts_with(UNIX) {
            let message = format!("`{address}`: Unix sockets of other workloads cannot be called");
            report.error(at_address, message).suggest("name an IP address, or a host");
        } else if let Err(error) = address.parse::<Host>()
            && !address.is_empty()
        {
            report.error(at_address, error.to_string());
        } else if address.starts_with('*') {
            report.error(at_address, format!("`{address}`: a wildcard cannot be called"));
        }
    }
}
