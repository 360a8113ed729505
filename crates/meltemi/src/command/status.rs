//! `meltemi status`: whether the control plane answers, and how much it has to do.

use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;

use crate::client::{Client, ClientError, JSON};
use crate::command::describe::is_ready;
use crate::connection::{self, Known};
use crate::exit::Failure;
use crate::output;
use crate::rejected::Rejected;

const EXAMPLE: &str = "\
Examples:
  meltemi status
  meltemi status --output json";

const WORKLOADS: &str = "/apis/networking.istio.io/v1/workloadentries";
const SERVICES: &str = "/api/v1/services";

/// Flags of `meltemi status`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    #[command(flatten)]
    connection: connection::Args,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object
    Json,
}

/// What is found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
struct Report {
    /// Where the API is; unknown when there is no control plane.
    api: Option<String>,
    /// Whether the API answers.
    reachable: bool,
    /// Whether the control plane says that it is ready.
    ready: bool,
    /// Why it is not reachable, or not in full.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// This binary's version.
    client_version: &'static str,
    /// The control plane's version.
    server_version: Option<String>,
    /// The version of Kubernetes whose API is served.
    kubernetes_version: Option<String>,
    /// Discovery streams that stand. Only the metrics tell it, which are looked for on this machine.
    connected_proxies: Option<u64>,
    /// Workloads that a proxy has registered and keeps alive.
    registered_workloads: Option<u64>,
    /// Resources that are set aside because they cannot be used.
    rejected_resources: Option<u64>,
    /// The same, one by one; unknown where the control plane does not say.
    rejected: Option<Vec<Rejected>>,
    services: Option<usize>,
    workloads: Option<Workloads>,
}

/// The workloads of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Workloads {
    total: usize,
    /// Those that may be called.
    ready: usize,
}

/// Prints the report; fails when the control plane does not answer or is not ready.
pub async fn run(args: Args) -> Result<(), Failure> {
    let mut report = Report { client_version: env!("CARGO_PKG_VERSION"), ..Report::default() };
    let outcome = find_and_ask(&args.connection, &mut report).await;
    match args.output {
        Format::Json => {
            if let Err(Failure::Failed(message)) = &outcome {
                report.error = Some(message.clone());
            }
            output::line(&serde_json::json!(report).to_string())?;
            if report.ready && outcome.is_ok() { Ok(()) } else { Err(Failure::Code(1)) }
        }
        Format::Text => {
            outcome?;
            output::print(&text(&report))?;
            if report.ready { Ok(()) } else { Err(Failure::Code(1)) }
        }
    }
}

async fn find_and_ask(connection: &connection::Args, report: &mut Report) -> Result<(), Failure> {
    let known = connection.find()?;
    report.api = Some(known.api.to_string());
    Ok(ask(&known, report).await?)
}

async fn ask(known: &Known, report: &mut Report) -> Result<(), ClientError> {
    let mut client = known.client();
    let version = client.get("/version", JSON).await?;
    report.reachable = true;
    (report.kubernetes_version, report.server_version) = versions(&version);
    report.ready = is_positive(client.text("/readyz").await)?;
    let services = client.get(SERVICES, JSON).await?;
    report.services = Some(items(&services).len());
    let list = client.get(WORKLOADS, JSON).await?;
    let entries = items(&list);
    let ready = entries.iter().filter(|entry| is_ready(entry)).count();
    report.workloads = Some(Workloads { total: entries.len(), ready });
    if let Some(monitoring) = &known.monitoring {
        let mut client = Client::new(monitoring.clone(), None);
        report.ready &= is_positive(client.text("/healthz/ready").await)?;
        figures(&client.text("/metrics").await?, report);
    }
    if let Some(rejected) = Rejected::fetch(&mut client, &[&list]).await? {
        report.rejected_resources = Some(rejected.len() as u64);
        report.rejected = Some(rejected);
    }
    Ok(())
}

/// Whether a question for readiness was answered with yes; a no is an answer, too.
fn is_positive(answer: Result<String, ClientError>) -> Result<bool, ClientError> {
    match answer {
        Ok(_) => Ok(true),
        Err(ClientError::Refused(_) | ClientError::Foreign { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// `v1.32.0+meltemi-0.1.0`: Kubernetes' version and ours.
fn versions(version: &Value) -> (Option<String>, Option<String>) {
    let Some(text) = version["gitVersion"].as_str() else { return (None, None) };
    let (kubernetes, build) = text.split_once('+').unwrap_or((text, ""));
    (Some(kubernetes.to_owned()), build.strip_prefix("meltemi-").map(str::to_owned))
}

fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}

/// Reads the figures out of the control plane's metrics; those that are missing stay unknown.
fn figures(text: &str, report: &mut Report) {
    let Ok(scrape) = meltemi_telemetry::scrape::parse(text) else { return };
    let figure = |name: &str| {
        let value = scrape.select(name, &[]).next()?.value;
        // The figures are counts, which never come near the limits of the type.
        (value >= 0.0).then_some(value as u64)
    };
    report.connected_proxies = figure("meltemi_discovery_sessions");
    report.registered_workloads = figure("meltemi_registered_workloads");
    report.rejected_resources = figure("meltemi_rejected_resources");
}

fn text(report: &Report) -> String {
    let unknown = || "unknown".to_owned();
    let count = |figure: Option<u64>| figure.map_or_else(unknown, |figure| figure.to_string());
    let workloads =
        report.workloads.map_or_else(unknown, |it| format!("{} ({} ready)", it.total, it.ready));
    let version = report.server_version.clone().unwrap_or_else(unknown);
    let kubernetes = report.kubernetes_version.clone().unwrap_or_else(unknown);
    let mut lines = vec![
        (
            "Control plane",
            format!(
                "{} {}",
                report.api.as_deref().unwrap_or_default(),
                if report.ready { "ready" } else { "not ready" }
            ),
        ),
        ("Version", format!("{version} (this meltemi: {})", report.client_version)),
        ("API", format!("Kubernetes {kubernetes}")),
        ("Proxies", format!("{} connected", count(report.connected_proxies))),
        ("Services", report.services.map_or_else(unknown, |services| services.to_string())),
        ("Workloads", workloads),
    ];
    if let Some(rejected) = report.rejected_resources.filter(|rejected| *rejected > 0) {
        lines.push(("Set aside", set_aside(rejected, report.rejected.is_some())));
    }
    let lines =
        lines.into_iter().map(|(name, value)| format!("{:<15}{value}\n", format!("{name}:")));
    lines.chain(report.rejected.iter().flatten().map(rejection)).collect()
}

fn set_aside(count: u64, is_listed: bool) -> String {
    let noun = if count == 1 { "resource" } else { "resources" };
    let why = if is_listed { "" } else { ": the log of `meltemi control` says why" };
    format!("{count} {noun}{why}")
}

/// A line on a resource that is set aside. What users wrote must not drive a terminal.
fn rejection(rejected: &Rejected) -> String {
    let Rejected { kind, namespace, name, reason } = rejected;
    let told = format!("{kind} {namespace}/{name}: {reason}");
    let told: String = told.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    format!("  {told}\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_versions_are_told() {
        let both = versions(&json!({"gitVersion": "v1.32.0+meltemi-0.1.0"}));
        assert_eq!(both, (Some("v1.32.0".to_owned()), Some("0.1.0".to_owned())));
        let other = versions(&json!({"gitVersion": "v1.30.1+k3s1"}));
        assert_eq!(other, (Some("v1.30.1".to_owned()), None));
        assert_eq!(versions(&json!({})), (None, None));
    }

    #[test]
    fn figures_come_from_the_metrics() {
        let mut report =
            Report { ready: true, api: Some("http://a:1".to_owned()), ..Report::default() };
        let metrics = "# HELP x\nmeltemi_discovery_sessions 3\nmeltemi_registered_workloads 2\nmeltemi_rejected_resources 1\n";
        figures(metrics, &mut report);
        assert_eq!(report.connected_proxies, Some(3));
        assert_eq!(report.registered_workloads, Some(2));
        let shown = text(&report);
        assert!(shown.contains("Control plane: http://a:1 ready\n"), "{shown}");
        assert!(shown.contains("Proxies:       3 connected\n"), "{shown}");
        assert!(shown.contains("Set aside:     1 resource: the log"), "{shown}");
        report.rejected = Some(vec![Rejected {
            kind: "ServiceEntry".to_owned(),
            namespace: "default".to_owned(),
            name: "a".to_owned(),
            reason: "host\u{1b}[2J x".to_owned(),
        }]);
        let listed = "Set aside:     1 resource\n  ServiceEntry default/a: host [2J x\n";
        assert!(text(&report).ends_with(listed), "{}", text(&report));
        figures("not metrics at all {", &mut report);
        assert_eq!(report.connected_proxies, Some(3));
    }
}
