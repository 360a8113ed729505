//! The commands by which the demo's processes start: the very ones that a user would type.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use super::home::Home;
use super::plan::Instance;

/// Any free port on loopback.
const ANY: &str = "127.0.0.1:0";

/// How long a sidecar waits for each step of its end: callers that let go, last requests, the program's end. All three
/// together take less time than the demo gives it.
const PATIENCE: &str = "5s";

/// `meltemi control`.
pub(super) fn control(home: &Home) -> Command {
    let mut command = home.command();
    command.args(["control", "--store=embedded", "--output=json", "--insecure-loopback"]);
    command.arg("--state-dir").arg(home.state());
    for listener in ["--api", "--xds", "--secure-xds", "--dns", "--monitoring"] {
        command.args([listener, ANY]);
    }
    command
}

/// `meltemi apply -f FILE`.
pub(super) fn apply(home: &Home, file: &Path) -> Command {
    let mut command = home.command();
    command.arg("apply").arg("-f").arg(file).arg("--state-dir").arg(home.state());
    command
}

/// `meltemi run ... -- meltemi bookshop SERVICE`.
pub(super) fn instance(home: &Home, instance: &Instance) -> Command {
    let mut command = run(home, instance.service, &instance.name());
    command.args(["--port", &format!("{}/{}", instance.port, instance.protocol)]);
    command.args(["--version", instance.version]);
    if let Some(upstream) = &instance.upstream {
        command.arg("--upstream");
        command.arg(format!("{}=127.0.0.1:{}", upstream.target, upstream.port));
    }
    command.arg("--").arg(home.program()).args(instance.arguments());
    command
}

/// `meltemi run ... -- meltemi bookshop shopper`.
pub(super) fn shopper(
    home: &Home,
    rate: NonZeroU32,
    duration: Option<Duration>,
    report: &Path,
) -> Command {
    let mut command = run(home, "shopper", "shopper");
    command.arg("--").arg(home.program()).args(["bookshop", "shopper"]);
    command.arg(format!("--rate={rate}")).arg("--report").arg(report);
    if let Some(duration) = duration {
        command.arg(format!("--duration={}ms", duration.as_millis()));
    }
    command
}

/// Where the sidecar of this name tells that it is ready.
pub(super) fn ready_file(home: &Home, name: &str) -> std::path::PathBuf {
    home.ready().join(format!("{name}.json"))
}

fn run(home: &Home, service: &str, name: &str) -> Command {
    let mut command = home.command();
    command.args(["run", "--service", service, "--service-account", service, "--name", name]);
    command.args(["--drain-timeout", PATIENCE, "--termination-grace", PATIENCE]);
    command.arg("--state-dir").arg(home.state());
    command.arg("--ready-file").arg(ready_file(home, name));
    for listener in ["--outbound", "--inbound", "--admin", "--metrics", "--health"] {
        command.args([listener, ANY]);
    }
    command
}
