//! Who is measured: the backend, and each contestant with its proxies, started before the first round and ended after
//! the last.

pub mod change;
mod meltemi;
mod peer;
mod relay;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use tempfile::TempDir;

use self::change::Changer;
use crate::error::BenchError;
use crate::ports::Ports;
use crate::process::Process;
use crate::scenario::{Topology, Wire};
use crate::{certificates, proc, role};

/// How long a process may take to say that it is ready.
const READY: Duration = Duration::from_secs(30);
/// The host that requests name.
const HOST: &str = "bench";

/// Who can take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// No proxy.
    Direct,
    /// The floor: blind byte relays.
    Relay,
    /// Meltemi.
    Meltemi,
    /// Meltemi with rules for the service: all that can be on is on.
    Rules,
    /// Envoy.
    Envoy,
    /// nginx.
    Nginx,
    /// HAProxy.
    Haproxy,
}

impl Kind {
    /// Its word in tables and file names.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Direct => "direct",
            Kind::Relay => "relay",
            Kind::Meltemi => "meltemi",
            Kind::Rules => "rules",
            Kind::Envoy => "envoy",
            Kind::Nginx => "nginx",
            Kind::Haproxy => "haproxy",
        }
    }

    /// Whether it is Meltemi.
    pub fn is_ours(self) -> bool {
        matches!(self, Kind::Meltemi | Kind::Rules)
    }
}

/// Where a proxy stands in the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Beside the caller.
    Client,
    /// Beside an endpoint.
    Server,
    /// The only one.
    Single,
}

impl Place {
    fn word(self) -> &'static str {
        match self {
            Place::Client => "client",
            Place::Server => "server",
            Place::Single => "single",
        }
    }
}

/// A program that runs Meltemi's proxies of one place: a profiler.
#[derive(Debug)]
pub struct Wrapper {
    /// Which proxies.
    pub place: Place,
    /// The program and its arguments, to which the proxy's own are added.
    pub words: Vec<String>,
}

/// What the contestants are to build.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Which proxies stand in the path.
    pub topology: Topology,
    /// What is spoken over them.
    pub wire: Wire,
    /// Threads or processes of each proxy.
    pub workers: usize,
    /// Endpoints.
    pub endpoints: usize,
}

/// What some scenarios need beyond that.
#[derive(Debug, Clone, Copy)]
pub struct Special {
    /// Length of an answer's body.
    pub body: usize,
    /// Connections of the load generator.
    pub connections: usize,
    /// Services that a proxy knows, where that is what is measured.
    pub services: Option<usize>,
    /// No TLS session is resumed.
    pub full_handshakes: bool,
    /// The configuration changes under load.
    pub changes: bool,
}

impl Default for Special {
    fn default() -> Self {
        Special {
            body: role::backend::BODY,
            connections: 1,
            services: None,
            full_handshakes: false,
            changes: false,
        }
    }
}

/// One that is measured.
#[derive(Debug)]
pub struct Contestant {
    /// Who it is.
    pub kind: Kind,
    /// Where the load connects, in turn.
    pub targets: Vec<SocketAddr>,
    /// The host that requests name.
    pub host: &'static str,
    /// The proxies in the path.
    proxies: Vec<(Place, Process)>,
    /// What is needed beside them: a control plane.
    others: Vec<Process>,
    /// How its configuration is changed, where that is what is measured.
    pub changer: Option<Changer>,
}

impl Contestant {
    fn new(kind: Kind) -> Self {
        Contestant {
            kind,
            targets: Vec::new(),
            host: HOST,
            proxies: Vec::new(),
            others: Vec::new(),
            changer: None,
        }
    }

    /// The ids of all processes of all its proxies.
    pub fn pids(&self) -> Vec<u32> {
        self.proxies.iter().flat_map(|(_, process)| process.tree()).collect()
    }

    /// The id of the first proxy at a place.
    pub fn pid_at(&self, wanted: Place) -> Option<u32> {
        let (_, process) = self.proxies.iter().find(|(place, _)| *place == wanted)?;
        process.tree().first().copied()
    }

    /// Resident memory of a path's proxies, bytes: the one beside the caller, and a mean one beside an endpoint.
    pub fn path_memory(&self) -> u64 {
        let servers = self.memory_of(|place| place == Place::Server);
        let count = self.proxies.iter().filter(|(place, _)| *place == Place::Server).count();
        self.front_memory() + servers / count.max(1) as u64
    }

    /// Resident memory of the proxy that the load connects to, bytes.
    pub fn front_memory(&self) -> u64 {
        self.memory_of(|place| place != Place::Server)
    }

    fn memory_of(&self, wanted: impl Fn(Place) -> bool) -> u64 {
        let wanted = self.proxies.iter().filter(|(place, _)| wanted(*place));
        wanted.map(|(_, process)| proc::resident(&process.tree())).sum()
    }

    /// The error that one of its processes has ended, if one has.
    pub fn check(&mut self) -> Result<(), BenchError> {
        self.processes().try_for_each(Process::check)
    }

    /// The error that something is missing, with the log of the process that the load connects to.
    pub fn not_ready(&self, what: &str) -> BenchError {
        match self.proxies.iter().find(|(place, _)| *place != Place::Server) {
            Some((_, process)) => process.not_ready(what),
            None => BenchError::NotReady {
                name: self.kind.name().to_owned(),
                what: what.to_owned(),
                log: "it has no process of its own".to_owned(),
            },
        }
    }

    fn processes(&mut self) -> impl Iterator<Item = &mut Process> {
        let proxies = self.proxies.iter_mut().map(|(_, process)| process);
        proxies.chain(&mut self.others)
    }
}

/// All that runs.
#[derive(Debug)]
pub struct Field {
    directory: TempDir,
    ports: Ports,
    backend: Option<Process>,
    endpoints: Vec<SocketAddr>,
    wrapper: Option<Wrapper>,
    special: Special,
    /// Those that were started.
    pub contestants: Vec<Contestant>,
}

impl Field {
    /// Nothing runs yet.
    pub fn new() -> Result<Field, BenchError> {
        let directory = tempfile::Builder::new().prefix("meltemi-bench-").tempdir();
        let directory = directory.map_err(BenchError::system("make a directory"))?;
        certificates::make(directory.path())?;
        Ok(Field {
            directory,
            ports: Ports::new(),
            backend: None,
            endpoints: Vec::new(),
            wrapper: None,
            special: Special::default(),
            contestants: Vec::new(),
        })
    }

    /// Has Meltemi's proxies of a place run by another program.
    pub fn wrap(&mut self, wrapper: Wrapper) {
        self.wrapper = Some(wrapper);
    }

    /// What the scenario needs that others do not.
    pub fn specialise(&mut self, special: Special) {
        self.special = special;
    }

    /// Where logs, configurations and certificates are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts the endpoints.
    pub async fn start_backend(&mut self, setup: &Setup) -> Result<(), BenchError> {
        let words = role::backend::Args::words(setup.endpoints, setup.wire, self.special.body);
        let backend = Process::role("backend", &words, self.directory.path())?;
        let backend = self.backend.insert(backend);
        let said = backend.line(READY).await?;
        self.endpoints = serde_json::from_str(&said).map_err(|error| BenchError::Unclear {
            name: "backend".to_owned(),
            reason: error.to_string(),
            said,
        })?;
        Ok(())
    }

    /// Starts a contestant; gives the reason if it cannot take part on this machine.
    pub async fn enter(&mut self, kind: Kind, setup: &Setup) -> Result<Option<String>, BenchError> {
        let at = self.contestants.len();
        self.contestants.push(Contestant::new(kind));
        let mut starting = Starting {
            contestant: &mut self.contestants[at],
            directory: self.directory.path(),
            ports: &mut self.ports,
            endpoints: &self.endpoints,
            wrapper: self.wrapper.as_ref(),
            setup,
            special: self.special,
        };
        let skipped = match kind {
            Kind::Direct => {
                starting.contestant.targets.clone_from(&self.endpoints);
                None
            }
            Kind::Relay => relay::start(&mut starting)?,
            Kind::Meltemi | Kind::Rules => meltemi::start(&mut starting).await?,
            Kind::Envoy | Kind::Nginx | Kind::Haproxy => peer::start(&mut starting)?,
        };
        if skipped.is_some() {
            self.contestants.truncate(at);
        }
        Ok(skipped)
    }

    /// Ends everything: proxies first, then control planes, then the endpoints.
    pub async fn stop(&mut self) {
        let (mut proxies, mut others) = (Vec::new(), Vec::new());
        for contestant in self.contestants.drain(..) {
            proxies.extend(contestant.proxies.into_iter().map(|(_, process)| process));
            others.extend(contestant.others);
        }
        for group in [proxies, others, self.backend.take().into_iter().collect()] {
            group.iter().for_each(Process::terminate);
            for process in group {
                process.ended().await;
            }
        }
    }
}

/// A contestant that is being started, and what it is started with.
struct Starting<'a> {
    contestant: &'a mut Contestant,
    directory: &'a Path,
    ports: &'a mut Ports,
    endpoints: &'a [SocketAddr],
    wrapper: Option<&'a Wrapper>,
    setup: &'a Setup,
    special: Special,
}

impl Starting<'_> {
    fn free(&mut self) -> Result<SocketAddr, BenchError> {
        self.ports.free().map_err(BenchError::system("find a free port"))
    }

    fn name(&self, place: Place) -> String {
        let number = self.contestant.proxies.len();
        format!("{}-{}-{number}", self.contestant.kind.name(), place.word())
    }

    fn push(&mut self, place: Place, process: Process) {
        self.contestant.proxies.push((place, process));
    }

    /// Starts the proxies that the topology asks for, each by a call of `start` that is told place, listener and whom it
    /// connects to. Those beside the endpoints come first.
    fn lay_out(
        &mut self,
        mut start: impl FnMut(&mut Self, Place, SocketAddr, &[SocketAddr]) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        let listen = self.free()?;
        self.contestant.targets = vec![listen];
        if self.setup.topology == Topology::Single {
            return start(self, Place::Single, listen, self.endpoints);
        }
        let mut servers = Vec::new();
        for endpoint in self.endpoints {
            let listen = self.free()?;
            start(self, Place::Server, listen, &[*endpoint])?;
            servers.push(listen);
        }
        start(self, Place::Client, listen, &servers)
    }
}

/// The program that a variable names, else the one of this name on PATH.
fn find(variable: &str, name: &str) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(variable).filter(|it| !it.is_empty()) {
        return std::path::absolute(named).ok().filter(|it| it.is_file());
    }
    // Debian keeps servers where an ordinary user's PATH does not look.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    places.map(|place| place.join(name)).find(|it| it.is_file())
}
