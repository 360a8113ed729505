//! A Meltemi of this machine, as a user runs one: `meltemi control`, `meltemi apply`, and the words of `meltemi proxy`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::error::BenchError;
use crate::process::Process;

/// Any free port.
pub const ANY: &str = "127.0.0.1:0";
/// Why nothing of Meltemi can be measured where [`Mesh::program`] finds none.
pub const NO_PROGRAM: &str =
    "there is no `meltemi` beside this binary: cargo build --release -p meltemi";
/// How long a process may take to say that it is ready.
const READY: Duration = Duration::from_secs(30);
/// How long `meltemi apply` may take.
const APPLY: Duration = Duration::from_secs(30);

/// What a sidecar prints when it is up, as far as it is needed here.
#[derive(Debug, Deserialize)]
pub struct Up {
    /// Where its application calls.
    pub outbound: SocketAddr,
    /// Its own pages.
    pub admin: SocketAddr,
    /// The local addresses of services, by `HOST:PORT`.
    #[serde(default)]
    pub upstreams: BTreeMap<String, SocketAddr>,
}

impl Up {
    /// Reads the line that `name` printed.
    pub fn read(name: &str, said: &str) -> Result<Up, BenchError> {
        serde_json::from_str(said).map_err(|error| BenchError::Unclear {
            name: name.to_owned(),
            reason: error.to_string(),
            said: said.to_owned(),
        })
    }
}

/// Where a mesh is: its program, its state, and the directory of its processes.
#[derive(Debug, Clone)]
pub struct Mesh {
    /// The binary.
    pub program: PathBuf,
    /// The directory of the control plane's state, and the other commands' way to it.
    pub state_dir: PathBuf,
    directory: PathBuf,
}

impl Mesh {
    /// Of the binary beside this one; nothing where there is none. Logs go to `directory`.
    pub fn new(directory: &Path, name: &str) -> Option<Mesh> {
        let own = std::env::current_exe().ok()?;
        let program = Some(own.with_file_name("meltemi")).filter(|it| it.is_file())?;
        let (state_dir, directory) = (directory.join(name), directory.to_owned());
        Some(Mesh { program, state_dir, directory })
    }

    fn state(&self) -> String {
        format!("--state-dir={}", self.state_dir.display())
    }

    /// Starts the control plane, which may not be ready: see [`Mesh::controls`].
    pub fn control(&self) -> Result<Process, BenchError> {
        let mut words = vec!["control".to_owned(), "--output=json".to_owned(), self.state()];
        for listener in ["api", "xds", "secure-xds", "dns", "monitoring"] {
            words.push(format!("--{listener}={ANY}"));
        }
        Process::start("meltemi-control", &self.program, &words, &self.directory)
    }

    /// Waits until the control plane is ready.
    pub async fn controls(control: &mut Process) -> Result<(), BenchError> {
        control.line(READY).await.map(drop)
    }

    /// Applies YAML.
    pub async fn apply(&self, text: &str) -> Result<(), BenchError> {
        let file = self.state_dir.with_extension("yaml");
        std::fs::write(&file, text)
            .map_err(BenchError::system(format!("write {}", file.display())))?;
        let file = format!("--filename={}", file.display());
        let words = ["apply".to_owned(), file, self.state()];
        let mut apply = Process::start("meltemi-apply", &self.program, &words, &self.directory)?;
        apply.succeeded(APPLY).await
    }

    /// The words that all sidecars are started with.
    pub fn proxy(&self, name: &str, workers: usize) -> Vec<String> {
        let mut words = vec!["proxy".to_owned(), "--output=json".to_owned(), self.state()];
        words.push(format!("--name={name}"));
        words.push(format!("--workers={workers}"));
        words.push("--drain-timeout=2s".to_owned());
        for listener in ["outbound", "inbound", "admin", "metrics", "health"] {
            words.push(format!("--{listener}={ANY}"));
        }
        words
    }
}
