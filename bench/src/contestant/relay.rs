//! The floor: relays of this very binary.

use super::{Place, Starting};
use crate::error::BenchError;
use crate::process::Process;
use crate::role::relay::{Args, Tls};

/// Files that a relay needs besides those of its connections.
const FILES: u64 = 64;

pub(super) fn start(starting: &mut Starting<'_>) -> Result<Option<String>, BenchError> {
    // It shares no connections: each of a caller is one more of its own.
    let needed = 2 * starting.special.connections as u64 + FILES;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    if limit.is_some_and(|limit| limit < needed) {
        return Ok(Some(format!("it would need {needed} files (`ulimit -n`)")));
    }
    let full_handshakes = starting.special.full_handshakes;
    starting.lay_out(|starting, place, listen, to| {
        let tls = match place {
            Place::Client => Tls::Made,
            Place::Server => Tls::Accepted,
            Place::Single => Tls::None,
        };
        let mut words = Args::words(listen, to, starting.setup.workers, tls, starting.directory);
        if full_handshakes {
            words.push("--full-handshakes".to_owned());
        }
        let process = Process::role(&starting.name(place), &words, starting.directory)?;
        starting.push(place, process);
        Ok(())
    })?;
    Ok(None)
}
