//! The words of the text formats: headers, labels with their escapes, numbers.

use std::fmt::{self, Write};

use super::Format;
use crate::registry::Labels;
use crate::{HttpLabels, Party, PeerLabels, Reporter, SecurityPolicy, TcpLabels};

/// Writes `# HELP` and `# TYPE`. OpenMetrics names a counter's family without `_total`.
pub(super) fn write_header(out: &mut String, name: &str, help: &str, kind: &str, format: Format) {
    let family = match format {
        Format::OpenMetrics if kind == "counter" => name.strip_suffix("_total").unwrap_or(name),
        _ => name,
    };
    let _ = writeln!(out, "# HELP {family} {help}\n# TYPE {family} {kind}");
}

/// A bucket's bound as the format spells it: `1` in Prometheus' text, `1.0` in OpenMetrics.
pub(super) struct Bound(pub(super) f64, pub(super) Format);

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Format::Prometheus => write!(f, "{}", self.0),
            Format::OpenMetrics => write!(f, "{:?}", self.0),
        }
    }
}

/// Writes `{name="value",...}`, nothing at all without labels.
pub(super) fn write_labels(out: &mut String, labels: &Labels) {
    if labels.is_empty() {
        return;
    }
    let mut opening = '{';
    for (name, value) in labels {
        out.push(opening);
        write_label(out, name, value);
        opening = ',';
    }
    out.push('}');
}

/// Writes the labels of an HTTP series, without braces, in the order of Istio's documentation.
pub(super) fn write_http_labels(out: &mut String, labels: &HttpLabels) {
    write_parties(out, &labels.base, labels.reporter);
    let _ = write!(out, ",response_code=\"{}\",grpc_response_status=\"", labels.response_code);
    if let Some(status) = labels.grpc_status {
        let _ = write!(out, "{status}");
    }
    let _ = write!(out, "\",response_flags=\"{}\",", labels.flags);
    write_label(out, "connection_security_policy", security(&labels.base, labels.reporter));
}

/// Writes the labels of a TCP series, without braces.
pub(super) fn write_tcp_labels(out: &mut String, labels: &TcpLabels) {
    write_parties(out, &labels.base, labels.reporter);
    let _ = write!(out, ",response_flags=\"{}\",", labels.flags);
    write_label(out, "connection_security_policy", security(&labels.base, labels.reporter));
}

/// Istio's rule: a source cannot tell how the destination took the connection.
fn security(base: &PeerLabels, reporter: Reporter) -> &'static str {
    match reporter {
        Reporter::Source => SecurityPolicy::Unknown.as_str(),
        Reporter::Destination => base.security.as_str(),
    }
}

fn write_parties(out: &mut String, base: &PeerLabels, reporter: Reporter) {
    write_label(out, "reporter", reporter.as_str());
    write_party(out, "source", &base.source);
    write_party(out, "destination", &base.destination);
    for (name, value) in [
        ("destination_service", base.service.as_str()),
        ("destination_service_name", base.service_name.as_str()),
        ("destination_service_namespace", base.service_namespace.as_str()),
        ("request_protocol", base.protocol.as_str()),
    ] {
        out.push(',');
        write_label(out, name, value);
    }
}

fn write_party(out: &mut String, side: &str, party: &Party) {
    for (name, value) in [
        ("workload", &party.workload),
        ("canonical_service", &party.canonical_service),
        ("canonical_revision", &party.canonical_revision),
        ("workload_namespace", &party.namespace),
        ("principal", &party.principal),
        ("app", &party.app),
        ("version", &party.version),
        ("cluster", &party.cluster),
    ] {
        out.push(',');
        out.push_str(side);
        out.push('_');
        write_label(out, name, value.as_str());
    }
}

/// Writes `name="value"`, with the three escapes that both formats have.
pub(super) fn write_label(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    out.push_str("=\"");
    let mut rest = value;
    while let Some(at) = rest.find(['\\', '"', '\n']) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'\n' => "\\n",
            b'"' => "\\\"",
            _ => "\\\\",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}
