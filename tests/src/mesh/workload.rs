//! A workload in the making: the flags that `run` and `proxy` share.

use std::path::Path;

use serde_json::Value;
use tokio::process::Command;

use super::{Mesh, Sidecar};
use crate::patience::eventually;
use crate::process::Process;

/// A workload's flags.
#[derive(Debug)]
pub struct WorkloadBuilder<'m> {
    mesh: &'m Mesh,
    service: String,
    /// The name is a group's.
    is_member: bool,
    namespace: String,
    ports: Vec<(u16, String)>,
    flags: Vec<String>,
}

impl<'m> WorkloadBuilder<'m> {
    pub(super) fn new(mesh: &'m Mesh, service: &str) -> Self {
        WorkloadBuilder {
            mesh,
            service: service.to_owned(),
            is_member: false,
            namespace: "default".to_owned(),
            ports: Vec::new(),
            flags: Vec::new(),
        }
    }

    pub(super) fn member(mesh: &'m Mesh, group: &str) -> Self {
        WorkloadBuilder { is_member: true, ..WorkloadBuilder::new(mesh, group) }
    }

    /// A port of the application and its protocol; an empty one is left to detection.
    #[must_use]
    pub fn port(mut self, port: u16, protocol: &str) -> Self {
        self.ports.push((port, protocol.to_owned()));
        self
    }

    /// The namespace, if not `default`.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// The version.
    #[must_use]
    pub fn version(self, version: &str) -> Self {
        self.flag("--version", version)
    }

    /// A local address `127.0.0.1:LISTEN` that stands for `TARGET`, a host and port of the mesh.
    #[must_use]
    pub fn upstream(self, target: &str, listen: u16) -> Self {
        self.flag("--upstream", &format!("{target}=127.0.0.1:{listen}"))
    }

    /// Any other flag without a value.
    #[must_use]
    pub fn switch(mut self, name: &str) -> Self {
        self.flags.push(name.to_owned());
        self
    }

    /// Any other flag with its value.
    #[must_use]
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.extend([name.to_owned(), value.to_owned()]);
        self
    }

    /// Starts a sidecar beside an application that runs already; waits until it is ready and, if it has ports, may be
    /// called.
    ///
    /// # Panics
    /// If it does not get ready.
    pub async fn proxy(self) -> Sidecar {
        self.callable("proxy", &[]).await
    }

    /// Starts a command with its sidecar; waits as [`WorkloadBuilder::proxy`] does.
    ///
    /// # Panics
    /// If it does not get ready.
    pub async fn run(self, command: &[&str]) -> Sidecar {
        self.callable("run", command).await
    }

    /// Starts it and does not wait: for what must be refused.
    pub fn attempt(&self, word: &str, command: &[&str]) -> Process {
        let name = format!("{}-{}", self.service, self.mesh.number());
        self.process(word, &name, command)
    }

    /// Starts a sidecar and waits until it carries traffic, not until it is in the registry: there may be no control
    /// plane.
    ///
    /// # Panics
    /// If it does not get ready.
    pub async fn proxy_alone(self) -> Sidecar {
        self.start("proxy", &[]).await
    }

    async fn callable(&self, word: &str, command: &[&str]) -> Sidecar {
        let sidecar = self.start(word, command).await;
        if self.is_member || !self.ports.is_empty() {
            sidecar.is_callable(&self.mesh.api()).await;
        }
        sidecar
    }

    async fn start(&self, word: &str, command: &[&str]) -> Sidecar {
        let name = format!("{}-{}", self.service, self.mesh.number());
        let mut process = self.process(word, &name, command);
        let ready = ready_file(self.mesh.directory(), &name);
        let json = eventually(&format!("{name} is ready"), async || {
            if let Some(status) = process.status() {
                panic!("{name} ended with {status}:\n{}", process.log());
            }
            let text = std::fs::read_to_string(&ready).map_err(|error| error.to_string())?;
            serde_json::from_str::<Value>(&text).map_err(|error| error.to_string())
        })
        .await;
        Sidecar::new(process, &json)
    }

    fn process(&self, word: &str, name: &str, command: &[&str]) -> Process {
        let mut meltemi: Command = self.mesh.meltemi();
        let belongs = if self.is_member { "--group" } else { "--service" };
        meltemi.args([word, belongs, &self.service, "--namespace", &self.namespace]);
        for (port, protocol) in &self.ports {
            let port =
                if protocol.is_empty() { port.to_string() } else { format!("{port}/{protocol}") };
            meltemi.args(["--port", &port]);
        }
        for listener in ["--outbound", "--inbound", "--admin", "--metrics", "--health"] {
            if !self.flags.iter().any(|flag| flag == listener) {
                meltemi.args([listener, "127.0.0.1:0"]);
            }
        }
        meltemi.arg("--ready-file").arg(ready_file(self.mesh.directory(), name));
        meltemi.args(&self.flags);
        if !command.is_empty() {
            meltemi.arg("--").args(command);
        }
        Process::start(name, meltemi, self.mesh.directory())
    }
}

fn ready_file(directory: &Path, name: &str) -> std::path::PathBuf {
    directory.join(format!("{name}.ready"))
}
