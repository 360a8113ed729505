//! A world of servers and callers: each server with a sidecar of its own, each caller's sidecar with a local address for the
//! one service that all servers are endpoints of.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::policy::Policy;
use crate::error::BenchError;
use crate::mesh::{ANY, Mesh, NO_PROGRAM, Up};
use crate::process::Process;
use crate::role::callers::{Ask, BEGUN, Seen};
use crate::role::load::connection::connect;
use crate::role::load::http1::Http1;
use crate::role::server::{self, Setting};

/// How long a process may take to say that it is ready.
const READY: Duration = Duration::from_secs(60);
/// How often a sidecar is asked whether it is ready.
const ASK: Duration = Duration::from_millis(50);
/// How long the callers may take beyond what was asked for: as long as they wait for an answer, and a little more.
const GRACE: Duration = Duration::from_secs(45);
/// The port of the service.
const PORT: u16 = 9080;
/// What both experiments have: one service, of which a request is tried once, for five seconds at most.
const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: bench
  namespace: default
spec:
  selector:
    app: bench
  ports:
    - name: http
      port: 9080
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: bench
  namespace: default
spec:
  hosts: [bench]
  http:
    - route:
        - destination:
            host: bench
      timeout: 5s
      retries:
        attempts: 0
---
";

/// How large a world is.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Servers.
    pub servers: u32,
    /// Callers.
    pub callers: u32,
    /// Mean work of a request.
    pub work: Duration,
    /// Of the work.
    pub seed: u64,
}

/// A running world.
#[derive(Debug)]
pub struct World {
    directory: TempDir,
    control: Option<Process>,
    servers: Vec<Server>,
    sidecars: Vec<Process>,
    callers: Vec<SocketAddr>,
}

#[derive(Debug)]
struct Server {
    process: Process,
    address: SocketAddr,
}

impl World {
    /// Nothing yet: so that it can be ended however far [`World::start`] comes.
    pub fn new() -> Result<World, BenchError> {
        let directory = tempfile::Builder::new().prefix("meltemi-experiment-").tempdir();
        let directory = directory.map_err(BenchError::system("make a directory"))?;
        let (servers, sidecars, callers) = (Vec::new(), Vec::new(), Vec::new());
        Ok(World { directory, control: None, servers, sidecars, callers })
    }

    /// Starts everything, and waits until every endpoint can be called.
    pub async fn start(&mut self, plan: &Plan, policy: Policy) -> Result<(), BenchError> {
        let directory = self.directory.path().to_owned();
        let Some(mesh) = Mesh::new(&directory, "state") else {
            return Err(BenchError::Incomplete(NO_PROGRAM.to_owned()));
        };
        let control = self.control.insert(mesh.control()?);
        Mesh::controls(control).await?;
        mesh.apply(&(SERVICE.to_owned() + &policy.rule())).await?;
        self.start_servers(plan, &directory).await?;
        let mut words = Vec::new();
        for (number, server) in self.servers.iter().enumerate() {
            let mut more = mesh.proxy(&format!("bench-{number}"), 1);
            more.extend(["--service=bench".to_owned(), "--service-account=bench".to_owned()]);
            more.push(format!("--port={}/http", server.address.port()));
            words.push(more);
        }
        for up in self.start_sidecars(&mesh, "server", words).await? {
            ready(up.admin).await?;
        }
        let words = (0..plan.callers).map(|number| {
            let mut words = mesh.proxy(&format!("caller-{number}"), 1);
            words.push(format!("--upstream=bench:{PORT}={ANY}"));
            words
        });
        for up in self.start_sidecars(&mesh, "caller", words.collect()).await? {
            ready(up.admin).await?;
            self.callers.extend(up.upstreams.values());
        }
        Ok(())
    }

    async fn start_servers(&mut self, plan: &Plan, directory: &Path) -> Result<(), BenchError> {
        for number in 0..plan.servers {
            let words = server::Args::words(plan.work, plan.seed + u64::from(number));
            let name = format!("server-{number}");
            let mut process = Process::role(&name, &words, directory)?;
            let said = process.line(READY).await?;
            let address = serde_json::from_str(&said).map_err(|error| BenchError::Unclear {
                name,
                reason: error.to_string(),
                said,
            })?;
            self.servers.push(Server { process, address });
        }
        Ok(())
    }

    /// Starts them together, and waits for each to be up.
    async fn start_sidecars(
        &mut self,
        mesh: &Mesh,
        name: &str,
        words: Vec<Vec<String>>,
    ) -> Result<Vec<Up>, BenchError> {
        let first = self.sidecars.len();
        for (number, words) in words.iter().enumerate() {
            let name = format!("{name}-sidecar-{number}");
            let process = Process::start(&name, &mesh.program, words, self.directory.path())?;
            self.sidecars.push(process);
        }
        let mut ups = Vec::new();
        for process in &mut self.sidecars[first..] {
            let said = process.line(READY).await?;
            ups.push(Up::read(process.name(), &said)?);
        }
        Ok(ups)
    }

    /// Changes a server.
    pub async fn set(&self, server: usize, setting: Setting) -> Result<(), BenchError> {
        let Some(server) = self.servers.get(server) else { return Ok(()) };
        let outcome = async {
            let mut connection = Http1::new(connect(server.address).await?);
            connection.exchange(&setting.request()).await
        };
        outcome.await.map(drop).map_err(BenchError::system("change a server"))
    }

    /// Has the callers call, runs `meanwhile` from when the first request is due, and gives what they saw.
    pub async fn call(
        &self,
        ask: Ask,
        meanwhile: impl AsyncFnOnce(&World) -> Result<(), BenchError>,
    ) -> Result<Seen, BenchError> {
        let ask = Ask { targets: self.callers.clone(), host: "bench".to_owned(), ..ask };
        let patience = ask.warm_up + ask.window + GRACE;
        let mut callers = Process::role("callers", &ask.words(), self.directory.path())?;
        let said = callers.line(READY).await?;
        if said != BEGUN {
            let (name, reason) = ("callers".to_owned(), format!("expected {BEGUN:?}"));
            return Err(BenchError::Unclear { name, said, reason });
        }
        let (seen, outcome) = tokio::join!(callers.line(patience), meanwhile(self));
        outcome?;
        let said = seen?;
        serde_json::from_str(&said).map_err(|error| BenchError::Unclear {
            name: "callers".to_owned(),
            reason: error.to_string(),
            said,
        })
    }

    /// Ends everything: sidecars first, then the control plane, then the servers.
    pub async fn stop(self) {
        let World { control, servers, sidecars, directory, .. } = self;
        let servers = servers.into_iter().map(|it| it.process).collect();
        for group in [sidecars, control.into_iter().collect(), servers] {
            let group: Vec<Process> = group;
            group.iter().for_each(Process::terminate);
            for process in group {
                process.ended().await;
            }
        }
        drop(directory);
    }
}

/// Waits until a sidecar says that it is ready.
async fn ready(admin: SocketAddr) -> Result<(), BenchError> {
    let request = b"GET /ready HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let began = Instant::now();
    loop {
        let answer = async { Http1::new(connect(admin).await?).exchange(request).await };
        match answer.await {
            Ok(_) => return Ok(()),
            Err(_) if began.elapsed() < READY => tokio::time::sleep(ASK).await,
            Err(error) => return Err(BenchError::system("find a sidecar ready")(error)),
        }
    }
}

/// Starts a world, has `run` do what it does in it, and ends it whatever comes of that.
pub async fn within(
    plan: &Plan,
    policy: Policy,
    run: impl AsyncFnOnce(&World) -> Result<Seen, BenchError>,
) -> Result<Seen, BenchError> {
    let mut world = World::new()?;
    let outcome = tokio::select! {
        outcome = async {
            world.start(plan, policy).await?;
            run(&world).await
        } => outcome,
        () = crate::stopped() => Err(BenchError::Interrupted),
    };
    world.stop().await;
    outcome
}
