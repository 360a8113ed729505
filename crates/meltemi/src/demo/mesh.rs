//! The demo's processes: started in order, each awaited; ended in the opposite order.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::{join_all, select_all};
use meltemi_control::ControlFile;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::ChildStdout;

use super::child::Child;
use super::home::Home;
use super::plan::{self, Instance};
use super::ports::Ports;
use super::ready::Watched;
use super::sidecar::{Ready, Sidecar};
use super::{DemoError, Options, launch, registry};
use crate::client::{Address, Client};

/// How long one step of the start may take.
const STEP: Duration = Duration::from_secs(60);
/// How long a process may take to end by itself.
const END: Duration = Duration::from_secs(20);
const AT_START: &str = "while the mesh was starting";

/// All that runs.
#[derive(Debug, Default)]
pub(super) struct Mesh {
    /// Where the API and the dashboard are.
    pub(super) api: Option<SocketAddr>,
    /// The bookshop's programs that may be called.
    pub(super) sidecars: Vec<Sidecar>,
    /// The ports of the bookshop's programs.
    ports: Option<Ports<{ plan::PORTS }>>,
    /// The control plane.
    control: Option<Child>,
    /// Programs that have started and may not yet be called.
    starting: Vec<Child>,
    /// The load.
    shopper: Option<Child>,
}

/// What the control plane prints when it is ready, as far as the demo asks.
#[derive(Debug, Deserialize)]
struct ControlReady {
    api: SocketAddr,
}

impl Mesh {
    /// Starts the control plane, tells it the services, and starts the bookshop; returns when all may be called.
    pub(super) async fn start(&mut self, home: &Home) -> Result<(), DemoError> {
        let api = self.start_control(home).await?;
        self.api = Some(api);
        self.apply(home).await?;
        let file = ControlFile::read(&home.state());
        let file = file.map_err(|error| unclear("control", error.to_string()))?;
        let address: Address = api.to_string().parse().map_err(|it| unclear("control", it))?;
        let client = Client::new(address, Some(file.token));
        let ports = Ports::find().map_err(DemoError::system("find free ports"))?;
        let bookshop = plan::bookshop(self.ports.insert(ports).free);
        let watched = Watched::new(&home.ready())
            .map_err(DemoError::system("watch the directory of the ready files"))?;
        for part in bookshop {
            self.start_part(home, &client, &watched, part).await?;
        }
        Ok(())
    }

    async fn start_control(&mut self, home: &Home) -> Result<SocketAddr, DemoError> {
        let mut command = launch::control(home);
        let (child, stdout) = Child::start_read("control", &mut command, &home.log("control"))?;
        let child = self.control.insert(child);
        let ready = tokio::select! {
            ready = first_line(stdout) => ready?,
            status = child.ended() => return Err(child.failure(status, AT_START)),
            () = tokio::time::sleep(STEP) => return Err(late(child, "it printed no addresses")),
        };
        Ok(ready.api)
    }

    /// Has the services' resources applied.
    async fn apply(&self, home: &Home) -> Result<(), DemoError> {
        let file = home.file("services.yaml");
        std::fs::write(&file, plan::SERVICES)
            .map_err(DemoError::system(format!("write {}", file.display())))?;
        let child = Child::start("apply", &mut launch::apply(home, &file), &home.log("apply"))?;
        let applied = async {
            match child.ended().await {
                status if status.success() => Ok(()),
                status => Err(child.failure(status, "and has not applied the bookshop's services")),
            }
        };
        let outcome = self.within(&child, "the bookshop's services are not applied", applied).await;
        // Where the control plane has ended, that is why.
        match self.control.as_ref().and_then(|it| Some(it.failure(it.status()?, AT_START))) {
            Some(failure) if outcome.is_err() => Err(failure),
            _ => outcome,
        }
    }

    /// Starts some programs and waits until all of them may be called.
    async fn start_part(
        &mut self,
        home: &Home,
        client: &Client,
        watched: &Watched,
        part: Vec<Instance>,
    ) -> Result<(), DemoError> {
        for instance in &part {
            let name = instance.name();
            let mut command = launch::instance(home, instance);
            self.starting.push(Child::start(&name, &mut command, &home.log(&name))?);
        }
        let mut ready: Vec<Ready> = Vec::new();
        for (instance, child) in part.iter().zip(&self.starting) {
            let file = launch::ready_file(home, &instance.name());
            let read = async {
                watched.read(&file).await.map_err(DemoError::system("watch for ready files"))
            };
            ready.push(self.within(child, "it wrote no ready file", read).await?);
        }
        let Some(first) = self.starting.first() else { return Ok(()) };
        let names: Vec<String> = ready.iter().map(|ready| ready.workload.clone()).collect();
        let healthy = registry::await_healthy(client, &names);
        let missing = "the registry has not all of its part as healthy";
        let mut addresses = self.within(first, missing, healthy).await?;
        for ((instance, child), ready) in part.into_iter().zip(self.starting.drain(..)).zip(ready) {
            let address = addresses.remove(&ready.workload).unwrap_or_default();
            self.sidecars.push(Sidecar::new(instance, child, &ready, address)?);
        }
        Ok(())
    }

    /// Waits for a step of the start, unless a process ends or the time is over.
    async fn within<T>(
        &self,
        child: &Child,
        missing: &'static str,
        step: impl Future<Output = Result<T, DemoError>>,
    ) -> Result<T, DemoError> {
        tokio::select! {
            done = step => done,
            failure = self.failure(AT_START) => Err(failure),
            () = tokio::time::sleep(STEP) => Err(late(child, missing)),
        }
    }

    /// Waits until a process has ended that should go on.
    async fn failure(&self, when: &'static str) -> DemoError {
        let running = self.sidecars.iter().map(|it| &it.child).chain(&self.starting);
        let running: Vec<&Child> = running.chain(&self.control).collect();
        let (status, at, _) = select_all(running.iter().map(|child| Box::pin(child.ended()))).await;
        running[at].failure(status, when)
    }

    /// Starts the load.
    pub(super) fn start_shopper(
        &mut self,
        home: &Home,
        options: &Options,
        report: &std::path::Path,
    ) -> Result<(), DemoError> {
        let mut command = launch::shopper(home, options.rate, options.duration, report);
        self.shopper = Some(Child::start("shopper", &mut command, &home.log("shopper"))?);
        Ok(())
    }

    /// The load, once it was started.
    pub(super) fn shopper(&self) -> Option<&Child> {
        self.shopper.as_ref()
    }

    /// Asks all sidecars what they have counted. Gives the first failure, after all were asked.
    pub(super) async fn count(&mut self) -> Result<(), DemoError> {
        let counted = join_all(self.sidecars.iter_mut().map(Sidecar::count)).await;
        counted.into_iter().collect()
    }

    /// The processes that have ended though nobody told them to, with how.
    pub(super) fn gone(&self) -> impl Iterator<Item = (&str, String)> {
        let all = self.control.iter().chain(self.sidecars.iter().map(|sidecar| &sidecar.child));
        all.filter_map(|child| Some((child.name(), child.status()?.to_string())))
    }

    /// Ends everything: the load, then the bookshop with its sidecars, then the control plane.
    pub(super) async fn stop(&mut self) {
        end(self.shopper.iter()).await;
        let bookshop = self.sidecars.iter().map(|sidecar| &sidecar.child);
        end(bookshop.chain(&self.starting)).await;
        end(self.control.iter()).await;
    }
}

/// Asks processes to end, and waits until all have.
async fn end<'a>(children: impl Iterator<Item = &'a Child>) {
    let children: Vec<&Child> = children.collect();
    children.iter().for_each(|child| child.terminate());
    let ended = join_all(children.iter().map(|child| child.wait(END))).await;
    for (child, _) in children.iter().zip(ended).filter(|(_, by_itself)| !by_itself) {
        let (name, seconds) = (child.name(), END.as_secs());
        tracing::warn!(
            name,
            "did not end within {seconds} s and was killed; {}",
            child.last_lines()
        );
    }
}

async fn first_line(stdout: ChildStdout) -> Result<ControlReady, DemoError> {
    let mut line = String::new();
    let read = BufReader::new(stdout).read_line(&mut line).await;
    read.map_err(DemoError::system("read what `meltemi control` prints"))?;
    if line.is_empty() {
        // It has ended, or is about to: that is told with its exit status.
        return std::future::pending().await;
    }
    serde_json::from_str(&line).map_err(|error| unclear("control", format!("{line:?}: {error}")))
}

fn late(child: &Child, missing: &'static str) -> DemoError {
    let (name, seconds) = (child.name().to_owned(), STEP.as_secs());
    DemoError::Late { name, seconds, missing, log: child.last_lines() }
}

fn unclear(name: &str, what: String) -> DemoError {
    DemoError::Unclear { name: name.to_owned(), what }
}
