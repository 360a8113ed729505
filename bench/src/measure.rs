//! The rounds of a section: each contestant in turn, one after the other, as often as was asked for.

mod churn;
mod memory;

use std::time::Duration;

use crate::contestant::{Contestant, Field, Kind, Setup, Special};
use crate::error::BenchError;
use crate::figures::{Figure, Figures, Samples};
use crate::options::{Options, Section};
use crate::process::Process;
use crate::role::load::{Ask, Seen};
use crate::scenario::{Scenario, Wire};
use crate::window::{expect_measuring, seen};
use crate::{probe, proc, syscalls};

/// How much longer than it should the load may take.
const SLACK: Duration = Duration::from_secs(20);
/// Bytes.
const MIB: f64 = 1024.0 * 1024.0;

/// Starts everybody, and measures.
pub async fn run(
    options: &Options,
    section: &Section,
    field: &mut Field,
) -> Result<Figures, BenchError> {
    let scenario = options.scenario;
    let setup = Setup {
        topology: scenario.topology(),
        wire: scenario.wire(),
        workers: options.workers(),
        endpoints: options.endpoints as usize,
    };
    field.specialise(Special {
        body: options.body,
        connections: section.connections,
        services: section.services,
        full_handshakes: !scenario.resumes(),
        changes: scenario == Scenario::Churn,
    });
    let mut figures = Figures::default();
    field.start_backend(&setup).await?;
    for kind in options.contestants().into_iter().filter(|kind| scenario.has(*kind)) {
        if let Some(reason) = field.enter(kind, &setup).await? {
            let note = format!("{} is skipped: {reason}", kind.name());
            eprintln!("note: {note}");
            figures.notes.push(note);
            continue;
        }
        figures.samples.push(Samples::new(kind));
        if let Some(contestant) = field.contestants.last_mut() {
            match scenario {
                Scenario::Services => probe::listening(contestant).await?,
                _ => probe::ready(contestant, setup.wire, setup.endpoints).await?,
            }
        }
    }
    if field.contestants.iter().all(|it| it.kind == Kind::Direct) {
        return Err(BenchError::Nobody);
    }
    rounds(options, section, field, &mut figures).await?;
    figures.add_latencies();
    Ok(figures)
}

async fn rounds(
    options: &Options,
    section: &Section,
    field: &mut Field,
    figures: &mut Figures,
) -> Result<(), BenchError> {
    let rounds = if options.scenario.is_memory() { 1 } else { options.rounds };
    let directory = field.directory().to_owned();
    for round in 1..=rounds {
        for (contestant, samples) in field.contestants.iter_mut().zip(&mut figures.samples) {
            eprintln!("round {round}/{rounds}: {}", contestant.kind.name());
            let ask = Ask {
                targets: contestant.targets.clone(),
                host: contestant.host.to_owned(),
                wire: options.scenario.wire(),
                connections: section.connections,
                streams: options.streams as usize,
            };
            let mut turn = Turn { options, contestant, samples, ask, directory: &directory };
            match options.scenario {
                Scenario::Idle => turn.idle().await?,
                Scenario::Services => {
                    let known = section.services.unwrap_or(1);
                    let called = options.called.map_or(known, |it| known.min(it as usize));
                    turn.services(called).await?;
                }
                Scenario::Churn => turn.churn().await?,
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
        let is_bulk = self.ask.wire == Wire::Tcp;
        if is_bulk || self.options.is_bulky() {
            let mib = seen.bytes as f64 / MIB;
            self.samples.push(Figure::MibPerSecond, mib / seen.seconds);
            self.price(Figure::CpuUsPerMib, cpu, mib);
        }
        if !is_bulk {
            self.samples.push(Figure::RequestsPerSecond, seen.requests as f64 / seen.seconds);
            self.price(Figure::CpuUsPerRequest, cpu, seen.requests as f64);
        }
        if let Some(rate) = self.options.rate() {
            let (seen, cpu) = self.window(Some(rate)).await?;
            self.price(Figure::CpuUsPerRequestAtRate, cpu, seen.requests as f64);
            self.latencies(&seen, [Figure::P50Ms, Figure::P99Ms, Figure::P999Ms]);
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

    fn latencies(&mut self, seen: &Seen, figures: [Figure; 3]) {
        for (figure, microseconds) in figures.into_iter().zip([seen.p50, seen.p99, seen.p999]) {
            self.samples.push(figure, microseconds / 1000.0);
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
}
