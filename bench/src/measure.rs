//! The rounds: each contestant in turn, one after the other, as often as was asked for.

use std::time::Duration;

use crate::contestant::{Contestant, Field, Kind, Setup};
use crate::error::BenchError;
use crate::figures::{Figure, Figures, Samples};
use crate::options::Options;
use crate::process::Process;
use crate::role::load::{Ask, MEASURING, Seen};
use crate::scenario::{Carried, Scenario};
use crate::{probe, proc, syscalls};

/// How much longer than it should the load may take.
const SLACK: Duration = Duration::from_secs(20);
/// Opening many idle connections through a slow proxy takes a while.
const HOLD: Duration = Duration::from_secs(120);
/// Bytes.
const MIB: f64 = 1024.0 * 1024.0;

/// Starts everybody, and measures.
pub async fn run(options: &Options, field: &mut Field) -> Result<Figures, BenchError> {
    let scenario = options.scenario;
    let setup = Setup {
        topology: scenario.topology(),
        wire: scenario.wire(),
        workers: options.workers(),
        endpoints: options.endpoints as usize,
    };
    let mut figures = Figures::default();
    field.start_backend(&setup).await?;
    for kind in options.contestants() {
        if scenario == Scenario::Idle && kind == Kind::Direct {
            continue;
        }
        if let Some(reason) = field.enter(kind, &setup).await? {
            let note = format!("{} is skipped: {reason}", kind.name());
            eprintln!("note: {note}");
            figures.notes.push(note);
            continue;
        }
        figures.samples.push(Samples::new(kind));
        let endpoints = field.endpoints();
        if let Some(contestant) = field.contestants.last_mut() {
            probe::ready(contestant, scenario.wire(), endpoints).await?;
        }
    }
    if field.contestants.iter().all(|it| it.kind == Kind::Direct) {
        return Err(BenchError::Nobody);
    }
    rounds(options, field, &mut figures).await?;
    figures.add_latencies();
    Ok(figures)
}

async fn rounds(
    options: &Options,
    field: &mut Field,
    figures: &mut Figures,
) -> Result<(), BenchError> {
    // Memory does not go back to what it was, so there is one round of that.
    let rounds = if options.scenario == Scenario::Idle { 1 } else { options.rounds };
    let directory = field.directory().to_owned();
    for round in 1..=rounds {
        for (contestant, samples) in field.contestants.iter_mut().zip(&mut figures.samples) {
            eprintln!("round {round}/{rounds}: {}", contestant.kind.name());
            let ask = Ask {
                targets: contestant.targets.clone(),
                host: contestant.host.to_owned(),
                wire: options.scenario.wire(),
                connections: options.connections(),
                streams: options.streams as usize,
            };
            let mut turn = Turn { options, contestant, samples, ask, directory: &directory };
            match options.scenario {
                Scenario::Idle => turn.idle().await?,
                _ => turn.load().await?,
            }
            contestant.check()?;
        }
    }
    Ok(())
}

/// One contestant's turn in a round.
struct Turn<'a> {
    options: &'a Options,
    contestant: &'a mut Contestant,
    samples: &'a mut Samples,
    ask: Ask,
    directory: &'a std::path::Path,
}

impl Turn<'_> {
    async fn load(&mut self) -> Result<(), BenchError> {
        let (seen, cpu) = self.window(None).await?;
        if self.ask.wire.carried() == Carried::Tcp {
            let mib = seen.bytes as f64 / MIB;
            self.samples.push(Figure::MibPerSecond, mib / seen.seconds);
            self.price(Figure::CpuUsPerMib, cpu, mib);
        } else {
            self.samples.push(Figure::RequestsPerSecond, seen.requests as f64 / seen.seconds);
            self.price(Figure::CpuUsPerRequest, cpu, seen.requests as f64);
        }
        if let Some(rate) = self.options.rate() {
            let (seen, cpu) = self.window(Some(rate)).await?;
            self.price(Figure::CpuUsPerRequestAtRate, cpu, seen.requests as f64);
            for (figure, microseconds) in
                [(Figure::P50Ms, seen.p50), (Figure::P99Ms, seen.p99), (Figure::P999Ms, seen.p999)]
            {
                self.samples.push(figure, microseconds / 1000.0);
            }
        }
        if self.contestant.kind == Kind::Direct {
            return Ok(());
        }
        self.samples.push(Figure::MemoryMib, self.contestant.path_memory() as f64 / MIB);
        if self.options.syscalls
            && let Some(calls) =
                syscalls::per_request(&self.ask, self.contestant, self.directory).await?
        {
            self.samples.push(Figure::SyscallsPerRequest, calls);
        }
        Ok(())
    }

    fn price(&mut self, figure: Figure, cpu: Duration, units: f64) {
        if self.contestant.kind != Kind::Direct && units > 0.0 {
            self.samples.push(figure, cpu.as_secs_f64() * 1e6 / units);
        }
    }

    /// Loads for a window. Gives what the load saw, and the CPU time of the proxies meanwhile.
    async fn window(&mut self, rate: Option<u32>) -> Result<(Seen, Duration), BenchError> {
        let Options { warm_up, seconds, .. } = *self.options;
        let pids = self.contestant.pids();
        let words = self.ask.window(rate, warm_up, seconds);
        let mut load = Process::role("load", &words, self.directory)?;
        expect_measuring(&mut load, warm_up + SLACK).await?;
        let before = proc::cpu_time(&pids);
        let seen = seen(&mut load, seconds + SLACK).await?;
        let cpu = proc::cpu_time(&pids).saturating_sub(before);
        load.succeeded(SLACK).await?;
        self.samples.errors += seen.errors;
        if self.samples.error.is_none() {
            self.samples.error.clone_from(&seen.error);
        }
        Ok((seen, cpu))
    }

    /// Memory before anything was carried but what the probe did, and with idle connections.
    async fn idle(&mut self) -> Result<(), BenchError> {
        let idle = self.contestant.front_memory() as f64;
        let mut load = Process::role("hold", &self.ask.hold(), self.directory)?;
        expect_measuring(&mut load, HOLD).await?;
        let held = self.contestant.front_memory() as f64;
        load.terminate();
        load.ended().await;
        let connections = self.ask.connections as f64;
        self.samples.push(Figure::IdleMib, idle / MIB);
        self.samples.push(Figure::HeldMib, held / MIB);
        self.samples.push(Figure::KibPerConnection, (held - idle) / 1024.0 / connections);
        Ok(())
    }
}

/// Waits for the beginning of the load's window.
pub async fn expect_measuring(load: &mut Process, patience: Duration) -> Result<(), BenchError> {
    match load.line(patience).await? {
        said if said == MEASURING => Ok(()),
        said => Err(BenchError::Unclear {
            name: load.name().to_owned(),
            reason: format!("`{MEASURING}` is expected"),
            said,
        }),
    }
}

/// Waits for what the load tells at the end of its window.
pub async fn seen(load: &mut Process, patience: Duration) -> Result<Seen, BenchError> {
    let said = load.line(patience).await?;
    serde_json::from_str(&said).map_err(|error| BenchError::Unclear {
        name: load.name().to_owned(),
        reason: error.to_string(),
        said,
    })
}
