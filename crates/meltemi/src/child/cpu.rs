//! The time that a command and all that it has started have had of the processors, as Linux tells it in `/proc` (proc(5)).

use std::fs;
use std::time::Duration;

/// Processes that are looked at, at most: beyond that the figure would cost more than it is worth.
const MAX: usize = 256;
/// How many of the kernel's units of time are in a second (`USER_HZ`, 100 on all machines that this program is built for).
const TICKS: u64 = 100;

/// The time of a process, of those that it has waited for, and of all below it; `None` once it is gone.
pub fn time(leader: u32) -> Option<Duration> {
    let mut ticks = own(leader)?;
    let mut found = children(leader);
    let mut at = 0;
    while let Some(process) = found.get(at).copied() {
        // One that has just ended is in the count of who waited for it.
        ticks += own(process).unwrap_or_default();
        if found.len() < MAX {
            found.extend(children(process));
        }
        at += 1;
    }
    Some(Duration::from_millis(ticks * 1000 / TICKS))
}

/// The time of one process, and of those that it has waited for.
fn own(process: u32) -> Option<u64> {
    read(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

/// `utime`, `stime`, `cutime` and `cstime`. The second field is the program's name in brackets, which may hold anything.
fn read(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let times: Vec<u64> =
        fields.split(' ').skip(11).take(4).map_while(|it| it.parse().ok()).collect();
    (times.len() == 4).then(|| times.iter().sum())
}

/// Those that any thread of the process has started.
fn children(process: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let texts = threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let texts: Vec<String> = texts.collect();
    texts.iter().flat_map(|text| text.split_whitespace()).filter_map(|it| it.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_stand_behind_a_name_that_may_hold_anything() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 99 0 0 0 11 22 33 44 20 0 1 0 5 6 7";
        assert_eq!(read(stat), Some(110));
        assert_eq!(read("7 (a) S 1 7 7 0 -1 4194560 99 0 0 0 11 22"), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn what_this_process_does_is_counted_and_what_is_gone_is_not_there() {
        let before = time(std::process::id()).unwrap();
        let mut sum = 0u64;
        while time(std::process::id()).unwrap() == before {
            sum = (0..100_000u64).fold(sum, |sum, it| std::hint::black_box(sum.wrapping_add(it)));
        }
        assert_eq!(time(u32::MAX), None);
    }
}
