//! A mesh: a control plane of its own in a directory of its own, on free ports, and the sidecars that join it.

mod api;
mod command;
mod service;
mod sidecar;
mod workload;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::binary::meltemi;
use crate::process::{Process, Signal};

pub use api::Api;
pub use command::{Outcome, run};
pub use service::HttpService;
pub use sidecar::Sidecar;
pub use workload::WorkloadBuilder;

/// A control plane; its directory goes when this is dropped.
#[derive(Debug)]
pub struct Mesh {
    directory: TempDir,
    control: Mutex<Option<Process>>,
    addresses: Addresses,
    /// Further flags of the control plane.
    flags: Vec<String>,
    /// Its environment, beside ours.
    environment: Vec<(String, String)>,
    /// Numbers the sidecars, for the names of their files.
    count: Mutex<usize>,
}

/// Where a control plane listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// The Kubernetes-shaped API.
    pub api: SocketAddr,
    /// Discovery in plaintext.
    pub xds: SocketAddr,
    /// Discovery, registration and certificates over TLS.
    pub secure_xds: SocketAddr,
    /// The name server.
    pub dns: SocketAddr,
    /// The control plane's own metrics.
    pub monitoring: SocketAddr,
}

impl Addresses {
    const FLAGS: [&'static str; 5] = ["api", "xds", "secure-xds", "dns", "monitoring"];

    fn parse(line: &str) -> Self {
        let json: Value = serde_json::from_str(line).expect("the ready line is JSON");
        let address = |name: &str| {
            let text = json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}"));
            text.parse().unwrap_or_else(|error| panic!("{name} is {text}: {error}"))
        };
        Addresses {
            api: address("api"),
            xds: address("xds"),
            secure_xds: address("secure_xds"),
            dns: address("dns"),
            monitoring: address("monitoring"),
        }
    }

    fn all(&self) -> [SocketAddr; 5] {
        [self.api, self.xds, self.secure_xds, self.dns, self.monitoring]
    }
}

impl Mesh {
    /// Starts a control plane with the embedded store, and waits until it is ready.
    ///
    /// # Panics
    /// If it does not get ready.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with further flags.
    ///
    /// # Panics
    /// If it does not get ready.
    pub async fn start_with(flags: &[&str]) -> Self {
        Self::start_in(flags, &[]).await
    }

    /// The same with further variables of its environment.
    ///
    /// # Panics
    /// If it does not get ready.
    pub async fn start_in(flags: &[&str], environment: &[(&str, &str)]) -> Self {
        let environment: Vec<(String, String)> =
            environment.iter().map(|(name, it)| ((*name).to_owned(), (*it).to_owned())).collect();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let free = [(); 5].map(|()| "127.0.0.1:0".to_owned());
        let (control, addresses) =
            start_control(directory.path(), &free, flags, &environment).await;
        let control = Mutex::new(Some(control));
        let flags = flags.iter().map(|it| (*it).to_owned()).collect();
        Mesh { directory, control, addresses, flags, environment, count: Mutex::default() }
    }

    /// Where the control plane listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The directory of the mesh: its state directory, logs and whatever a test keeps there.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The state directory that all commands of this mesh share.
    pub fn state(&self) -> PathBuf {
        state(self.directory.path())
    }

    /// Kills the control plane with SIGKILL.
    ///
    /// # Panics
    /// If it does not run.
    pub async fn kill_control(&self) {
        let mut control = self.control.lock().take().expect("the control plane runs");
        control.kill().await;
    }

    /// Starts the control plane again where it was.
    ///
    /// # Panics
    /// If it does not get ready.
    pub async fn restart_control(&self) {
        let same = self.addresses.all().map(|it| it.to_string());
        let flags: Vec<_> = self.flags.iter().map(String::as_str).collect();
        let directory = self.directory.path();
        let (control, _) = start_control(directory, &same, &flags, &self.environment).await;
        *self.control.lock() = Some(control);
    }

    /// Sends the control plane a signal.
    ///
    /// # Panics
    /// If it does not run.
    pub fn signal_control(&self, signal: Signal) {
        self.control.lock().as_ref().expect("the control plane runs").signal(signal);
    }

    /// Stops the control plane with SIGTERM and gives its exit code.
    ///
    /// # Panics
    /// If it does not run or does not end.
    pub async fn stop_control(&self) -> Option<i32> {
        let mut control = self.control.lock().take().expect("the control plane runs");
        control.signal(Signal::TERM);
        control.ended().await.code()
    }

    /// What the control plane has logged.
    pub fn control_log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("control.log")).unwrap_or_default()
    }

    /// A workload to be started with a sidecar.
    pub fn workload(&self, service: &str) -> WorkloadBuilder<'_> {
        WorkloadBuilder::new(self, service)
    }

    /// A workload to be started with a sidecar as a member of a `WorkloadGroup`, of no service of its own.
    pub fn member(&self, group: &str) -> WorkloadBuilder<'_> {
        WorkloadBuilder::member(self, group)
    }

    /// The configuration API, with the local administrator's token.
    ///
    /// # Panics
    /// If the control plane has not written its token.
    pub fn api(&self) -> Api {
        let file = self.state().join("control.json");
        let text = std::fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let json: Value = serde_json::from_str(&text).expect("control.json is JSON");
        let token = json["token"].as_str().unwrap_or_else(|| panic!("no token in {json}"));
        Api::new(self.addresses.api, token.to_owned())
    }

    /// Runs a command of `meltemi` to its end, in this mesh's state directory, with a text on its standard input.
    ///
    /// # Panics
    /// If it does not end.
    pub async fn command(&self, arguments: &[&str], input: &str) -> Outcome {
        let mut command = self.meltemi();
        command.args(arguments);
        command::run(command, input).await
    }

    /// Applies a YAML document.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn apply(&self, yaml: &str) {
        let outcome = self.command(&["apply", "-f", "-"], yaml).await;
        assert_eq!(outcome.code, Some(0), "{outcome}");
    }

    /// `meltemi` with this mesh's state directory.
    pub(crate) fn meltemi(&self) -> Command {
        let mut command = Command::new(meltemi());
        command.env("MELTEMI_STATE_DIR", self.state());
        command
    }

    fn number(&self) -> usize {
        let mut count = self.count.lock();
        *count += 1;
        *count
    }
}

fn state(directory: &Path) -> PathBuf {
    directory.join("state")
}

async fn start_control(
    directory: &Path,
    addresses: &[String; 5],
    flags: &[&str],
    environment: &[(String, String)],
) -> (Process, Addresses) {
    let mut command = Command::new(meltemi());
    command.args(["control", "--output", "json", "--state-dir"]).arg(state(directory));
    for (flag, address) in Addresses::FLAGS.iter().zip(addresses) {
        command.arg(format!("--{flag}")).arg(address);
    }
    command.args(flags).envs(environment.iter().cloned());
    let mut control = Process::start("control", command, directory);
    let Some(line) = control.line().await else {
        panic!("the control plane ended with {}", control.ended().await)
    };
    let addresses = Addresses::parse(&line);
    (control, addresses)
}
