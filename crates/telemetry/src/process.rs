//! What the process costs: the `process_*` figures of Prometheus' convention, read at each scrape.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::registry::Figures;

/// The figures that can be read here; those that the system does not offer are left out.
pub(crate) fn figures(started: SystemTime) -> Vec<Figures> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let since = started.duration_since(UNIX_EPOCH).unwrap_or_default();
    [
        family(
            "process_cpu_seconds_total",
            "CPU time of all threads, user and system, in seconds.",
            Some(cpu_seconds()),
        ),
        family("process_open_fds", "Open file descriptors.", open_files()),
        family(
            "process_resident_memory_bytes",
            "Resident memory in bytes.",
            status_field(&status, "VmRSS:").map(|kib| kib * 1024.0),
        ),
        family(
            "process_start_time_seconds",
            "When the process started, in seconds since the epoch.",
            Some(since.as_millis() as f64 / 1000.0),
        ),
        family("process_threads", "Threads.", status_field(&status, "Threads:")),
        family(
            "process_virtual_memory_bytes",
            "Virtual memory in bytes.",
            status_field(&status, "VmSize:").map(|kib| kib * 1024.0),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn family(name: &'static str, help: &'static str, value: Option<f64>) -> Option<Figures> {
    let samples = vec![(Vec::new(), value?)];
    Some(Figures { name, help, counter: name.ends_with("_total"), samples })
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Open descriptors, less the one that the reading itself holds.
fn open_files() -> Option<f64> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

/// The number behind a field's name in `/proc/self/status`.
fn status_field(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_file_is_read() {
        let status = "Name:\tx\nVmSize:\t  20480 kB\nVmRSS:\t    1024 kB\nThreads:\t7\n";
        assert_eq!(status_field(status, "VmRSS:"), Some(1024.0));
        assert_eq!(status_field(status, "Threads:"), Some(7.0));
        assert_eq!(status_field(status, "VmSwap:"), None);
    }

    #[test]
    fn a_process_uses_cpu() {
        let figures = figures(SystemTime::now());
        let cpu = figures.iter().find(|f| f.name == "process_cpu_seconds_total").unwrap();
        assert!(cpu.counter && cpu.samples[0].1 > 0.0);
    }
}
