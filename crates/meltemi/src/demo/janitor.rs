//! The process that clears up after a demo, however the demo ends. It leads the process group that all processes of the
//! demo belong to, and reads a pipe whose other end only the demo holds: when that closes, be it by SIGKILL, whoever is
//! left in the group is ended, and the demo's directory removed.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpgrp, getpid, pidfd_open, pidfd_send_signal};

use super::home::PREFIX;

/// What the demo writes when nobody is to be waited for.
pub(super) const AT_ONCE: u8 = b'k';
/// How long processes may take to end by themselves.
const GRACE: Duration = Duration::from_secs(10);
/// How long the kernel may take to end those that were killed.
const KILLED: Duration = Duration::from_secs(5);

/// Waits for the end of the demo, ends what it left and removes its directory.
///
/// # Errors
/// When the directory is not a demo's, processes stay, or it cannot be removed.
pub fn clear(directory: &Path) -> io::Result<()> {
    let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !name.starts_with(PREFIX) || getpgrp() != getpid() {
        return Err(io::Error::other("this is for `meltemi demo` to start"));
    }
    let mut said = Vec::new();
    // The end of the pipe is what counts; that it breaks is an end, too.
    let _ = io::stdin().read_to_end(&mut said);
    if !said.contains(&AT_ONCE) {
        end_all(Signal::TERM, GRACE)?;
    }
    let left = end_all(Signal::KILL, KILLED)?;
    std::fs::remove_dir_all(directory)?;
    if left > 0 {
        return Err(io::Error::other(format!("{left} processes do not end")));
    }
    Ok(())
}

/// Sends a signal to every other process of the group, new ones included, until there is none or the time is over.
/// Gives the number of those that are left.
fn end_all(signal: Signal, time: Duration) -> io::Result<usize> {
    let deadline = Instant::now() + time;
    loop {
        let members = members()?;
        let left = deadline.saturating_duration_since(Instant::now());
        if members.is_empty() || left.is_zero() {
            return Ok(members.len());
        }
        for member in &members {
            // One that has ended meanwhile needs no signal.
            let _ = pidfd_send_signal(member, signal);
        }
        wait(&members, left)?;
    }
}

/// Waits until all have ended, at most for `time`.
fn wait(members: &[OwnedFd], time: Duration) -> io::Result<()> {
    let deadline = Instant::now() + time;
    for member in members {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(member, PollFlags::IN)], Some(&left)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The other processes of this one's group that have not ended. A handle is taken before the process is looked at: what
/// is held is what was looked at, even if its number is given to another process.
fn members() -> io::Result<Vec<OwnedFd>> {
    let (own, group) = (getpid(), getpgrp());
    let mut members = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.parse().ok());
        let Some(pid) = number.and_then(Pid::from_raw).filter(|pid| *pid != own) else { continue };
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        if stat.is_ok_and(|stat| is_alive_in(&stat, group)) {
            members.push(handle);
        }
    }
    Ok(members)
}

/// Whether a line of `/proc/PID/stat` is of a process in the group that is no zombie.
fn is_alive_in(stat: &str, group: Pid) -> bool {
    // The program's name, in parentheses, may contain anything.
    let Some((_, rest)) = stat.rsplit_once(')') else { return false };
    let mut fields = rest.split_whitespace();
    let (state, in_group) = (fields.next(), fields.nth(1));
    !matches!(state, Some("Z" | "X") | None)
        && in_group.and_then(|text| text.parse().ok()) == Some(group.as_raw_nonzero().get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_tells_whose_group_it_is() {
        let group = Pid::from_raw(77).unwrap();
        for (stat, expected) in [
            ("90 (meltemi) S 1 77 70 0 -1 4194560", true),
            ("90 (a) b) S 1 77 70 0 -1", true),
            ("90 (meltemi) S 77 78 70 0 -1", false),
            ("90 (meltemi) Z 1 77 70 0 -1", false),
            ("90 (meltemi", false),
            ("", false),
        ] {
            assert_eq!(is_alive_in(stat, group), expected, "{stat}");
        }
    }

    #[test]
    fn no_directory_but_a_demos_is_ever_removed() {
        let directory = tempfile::tempdir().unwrap();
        clear(directory.path()).unwrap_err();
        assert!(directory.path().exists());
    }
}
