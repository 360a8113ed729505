//! What is measured, each figure with its names and its unit.

use serde::Serialize;

use crate::scenario::Unit;

/// A figure; in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// CPU time of all proxies in the path for a request, at saturation.
    CpuUsPerRequest,
    /// The same at the fixed rate.
    CpuUsPerRequestAtRate,
    /// The same at the fixed rate while the configuration changes.
    CpuUsPerRequestChanging,
    /// CPU time of all proxies in the path for a MiB.
    CpuUsPerMib,
    /// Requests that pass in a second.
    RequestsPerSecond,
    /// MiB that pass in a second.
    MibPerSecond,
    /// Latency at the fixed rate.
    P50Ms,
    /// Latency at the fixed rate.
    P99Ms,
    /// Latency at the fixed rate.
    P999Ms,
    /// Latency at the fixed rate while the configuration changes.
    P50ChangingMs,
    /// Latency at the fixed rate while the configuration changes.
    P99ChangingMs,
    /// Latency at the fixed rate while the configuration changes.
    P999ChangingMs,
    /// The proxies' part of latency: what they add over no proxy in the same round.
    P50AddedMs,
    /// The proxies' part of that.
    P99AddedMs,
    /// Requests that failed in a window without changes.
    FailedQuiet,
    /// Requests that failed in a window with changes.
    FailedChanging,
    /// Changes that were accepted in a second.
    ChangesPerSecond,
    /// Configurations that the proxy has taken up in a second.
    AppliedPerSecond,
    /// Resident memory of the path's proxies after load.
    MemoryMib,
    /// Resident memory of the caller's proxy that carries nothing yet.
    IdleMib,
    /// The same when each service was asked for once.
    SubscribedMib,
    /// The same with idle connections.
    HeldMib,
    /// What an idle connection adds to that.
    KibPerConnection,
    /// System calls of all proxies in the path for a request.
    SyscallsPerRequest,
}

impl Figure {
    /// The head of its column, and digits behind the point.
    pub fn head(self, unit: Unit) -> (String, usize) {
        let unit = unit.short;
        let (head, digits) = match self {
            Figure::CpuUsPerRequest => return (format!("CPU us/{unit}"), 1),
            Figure::CpuUsPerRequestAtRate => return (format!("CPU us/{unit} at rate"), 1),
            Figure::CpuUsPerRequestChanging => return (format!("CPU us/{unit} changing"), 1),
            Figure::RequestsPerSecond => return (format!("{unit}/s"), 0),
            Figure::SyscallsPerRequest => return (format!("syscalls/{unit}"), 1),
            Figure::CpuUsPerMib => ("CPU us/MiB", 0),
            Figure::MibPerSecond => ("MiB/s", 0),
            Figure::P50Ms => ("p50 ms", 2),
            Figure::P99Ms => ("p99 ms", 2),
            Figure::P999Ms => ("p99.9 ms", 2),
            Figure::P50ChangingMs => ("p50 changing ms", 2),
            Figure::P99ChangingMs => ("p99 changing ms", 2),
            Figure::P999ChangingMs => ("p99.9 changing ms", 2),
            Figure::P50AddedMs => ("p50 added ms", 2),
            Figure::P99AddedMs => ("p99 added ms", 2),
            Figure::FailedQuiet => ("failed", 0),
            Figure::FailedChanging => ("failed changing", 0),
            Figure::ChangesPerSecond => ("changes/s", 0),
            Figure::AppliedPerSecond => ("taken up/s", 0),
            Figure::MemoryMib => ("memory MiB", 1),
            Figure::IdleMib => ("idle MiB", 1),
            Figure::SubscribedMib => ("subscribed MiB", 1),
            Figure::HeldMib => ("with connections MiB", 1),
            Figure::KibPerConnection => ("KiB/connection", 1),
        };
        (head.to_owned(), digits)
    }

    /// What it is, with its unit, for a picture.
    pub fn title(self, unit: Unit) -> String {
        let one = unit.long;
        match self {
            Figure::CpuUsPerRequest => format!("CPU time per {one} at saturation, µs"),
            Figure::CpuUsPerRequestAtRate => format!("CPU time per {one} at the fixed rate, µs"),
            Figure::CpuUsPerRequestChanging => format!("CPU time per {one} under changes, µs"),
            Figure::RequestsPerSecond => format!("{one}s per second at saturation"),
            Figure::SyscallsPerRequest => format!("system calls per {one}"),
            Figure::CpuUsPerMib => "CPU time per MiB, µs".to_owned(),
            Figure::MibPerSecond => "MiB per second".to_owned(),
            Figure::P50Ms => "latency p50, ms".to_owned(),
            Figure::P99Ms => "latency p99, ms".to_owned(),
            Figure::P999Ms => "latency p99.9, ms".to_owned(),
            Figure::P50ChangingMs => "latency p50 under changes, ms".to_owned(),
            Figure::P99ChangingMs => "latency p99 under changes, ms".to_owned(),
            Figure::P999ChangingMs => "latency p99.9 under changes, ms".to_owned(),
            Figure::P50AddedMs => "p50 added over no proxy, ms".to_owned(),
            Figure::P99AddedMs => "p99 added over no proxy, ms".to_owned(),
            Figure::FailedQuiet => format!("failed {one}s in a window"),
            Figure::FailedChanging => format!("failed {one}s under changes"),
            Figure::ChangesPerSecond => "changes accepted per second".to_owned(),
            Figure::AppliedPerSecond => "changes taken up per second".to_owned(),
            Figure::MemoryMib => "memory after load, MiB".to_owned(),
            Figure::IdleMib => "memory idle, MiB".to_owned(),
            Figure::SubscribedMib => "memory, each service asked for, MiB".to_owned(),
            Figure::HeldMib => "memory with idle connections, MiB".to_owned(),
            Figure::KibPerConnection => "memory per idle connection, KiB".to_owned(),
        }
    }

    /// Whether it is what a contestant itself costs, and less of it is better: so that Meltemi's can be divided by the
    /// others'.
    pub fn is_price(self) -> bool {
        use Figure::{
            CpuUsPerMib, CpuUsPerRequest, CpuUsPerRequestAtRate, CpuUsPerRequestChanging, HeldMib,
            IdleMib, KibPerConnection, MemoryMib, P50AddedMs, P99AddedMs, SubscribedMib,
            SyscallsPerRequest,
        };
        matches!(
            self,
            CpuUsPerRequest
                | CpuUsPerRequestAtRate
                | CpuUsPerRequestChanging
                | CpuUsPerMib
                | P50AddedMs
                | P99AddedMs
                | MemoryMib
                | IdleMib
                | SubscribedMib
                | HeldMib
                | KibPerConnection
                | SyscallsPerRequest
        )
    }
}
