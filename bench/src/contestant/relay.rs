//! The floor: relays of this very binary.

use super::{Place, Starting};
use crate::error::BenchError;
use crate::process::Process;
use crate::role::relay::{Args, Tls};

pub(super) fn start(starting: &mut Starting<'_>) -> Result<Option<String>, BenchError> {
    starting.lay_out(|starting, place, listen, to| {
        let tls = match place {
            Place::Client => Tls::Made,
            Place::Server => Tls::Accepted,
            Place::Single => Tls::None,
        };
        let words = Args::words(listen, to, starting.setup.workers, tls, starting.directory);
        let process = Process::role(&starting.name(place), &words, starting.directory)?;
        starting.push(place, process);
        Ok(())
    })?;
    Ok(None)
}
