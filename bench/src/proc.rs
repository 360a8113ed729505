//! What the kernel says of a process: CPU time of all its threads, resident memory, its children.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// The parts of `/proc/PID/stat` that are asked for here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The process that started it.
    pub parent: u32,
    /// Clock ticks in user mode, all threads.
    pub user: u64,
    /// Clock ticks in the kernel, all threads.
    pub system: u64,
}

/// Reads `/proc/PID/stat`. The second field is the program's name in parentheses, which may hold spaces and parentheses
/// itself.
pub fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    // From the fourth field, the parent, ten further to the fourteenth.
    let user = fields.nth(9)?.parse().ok()?;
    let system = fields.next()?.parse().ok()?;
    Some(Stat { parent, user, system })
}

/// Resident memory in `/proc/PID/status`, bytes.
pub fn parse_resident(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// A process and those that it started, at the time of asking; parents first.
pub fn tree(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        if let Some(stat) = stat(pid) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut at = 0;
    while let Some(pid) = found.get(at) {
        found.extend(children.remove(pid).unwrap_or_default());
        at += 1;
    }
    found
}

/// CPU time that these processes have used so far, user and system. One that has ended counts nothing.
pub fn cpu_time(pids: &[u32]) -> Duration {
    let ticks: u64 = pids.iter().filter_map(|pid| stat(*pid)).map(|it| it.user + it.system).sum();
    let each = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_nanos(ticks.saturating_mul(1_000_000_000) / each)
}

/// Resident memory of these processes, bytes. Pages that they share count in each.
pub fn resident(pids: &[u32]) -> u64 {
    let read = |pid: &u32| parse_resident(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?);
    pids.iter().filter_map(read).sum()
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str =
        "4321 (a (b) c) S 77 4321 4321 0 -1 4194560 100 200 0 0 150 30 7 8 20 0 3 0 99 1 2 3";

    #[test]
    fn stat_is_read_behind_any_name() {
        let expected = Stat { parent: 77, user: 150, system: 30 };
        assert_eq!(parse_stat(STAT), Some(expected));
        assert_eq!(parse_stat("1 (x) S 1 2"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn resident_memory_is_found_among_the_others() {
        assert_eq!(parse_resident("Name:\tx\nVmHWM:\t 9 kB\nVmRSS:\t    12 kB\n"), Some(12 * 1024));
        assert_eq!(parse_resident("Name:\tkthread\n"), None);
    }

    #[test]
    fn this_process_is_its_own_tree_and_uses_time_and_memory() {
        let own = std::process::id();
        assert_eq!(tree(own)[0], own);
        assert!(resident(&[own]) > 100_000);
        let before = cpu_time(&[own]);
        let mut sum = 0u64;
        while cpu_time(&[own]) == before {
            sum = (0..100_000u64).fold(sum, |sum, it| std::hint::black_box(sum.wrapping_add(it)));
        }
        assert!(cpu_time(&[own]) > before);
    }
}
