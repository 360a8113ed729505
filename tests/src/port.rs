//! Free ports for programs that have to be told theirs.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which the kernel takes the ports of outgoing connections, so that none of those can take a port
/// between its choice here and its use.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that nobody listens on and that no other call of this process gets soon. Other test processes start elsewhere
/// in the range.
///
/// # Panics
/// Where none is free.
pub fn free_port() -> u16 {
    let offset = (std::process::id().wrapping_mul(97) % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let at = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(offset) % COUNT;
        if TcpListener::bind(("127.0.0.1", FIRST + at)).is_ok() {
            return FIRST + at;
        }
    }
    panic!("no free port from {FIRST} on")
}
