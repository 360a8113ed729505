//! Keeps a sidecar small: without transparent huge pages the allocator's first touch of an arena costs a page of 4 KiB, not
//! one of 2 MiB. An idle proxy takes 15 MiB then instead of 22.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::thread::{disable_transparent_huge_pages, transparent_huge_pages_are_disabled};

/// In the environment of a sidecar that has switched huge pages off; its command does not see it.
pub const MARK: &str = "MELTEMI_HUGE_PAGES_OFF";

static SAVING: AtomicBool = AtomicBool::new(false);

/// Switches huge pages off for this process, and so for those that it starts: see [`restore`]. The program is started anew
/// in the same process, as the allocator has touched its first arenas by the time that this runs.
pub fn save() {
    if std::env::var_os(MARK).is_some() {
        SAVING.store(true, Ordering::Relaxed);
        return;
    }
    let is_off_already = transparent_huge_pages_are_disabled().unwrap_or(true);
    if is_off_already || disable_transparent_huge_pages(true).is_err() {
        return;
    }
    let mut arguments = std::env::args_os();
    let mut anew = Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        anew.arg0(name);
    }
    let error = anew.args(arguments).env(MARK, "1").exec();
    // It goes on as it is, only larger.
    tracing::debug!(%error, "the program could not be started anew without huge pages");
    SAVING.store(true, Ordering::Relaxed);
}

/// Whether this process has switched them off, and its children have to have them back.
pub fn is_saving() -> bool {
    SAVING.load(Ordering::Relaxed)
}

/// Gives them back: the user's command gets the memory that it would have had without a sidecar.
pub fn restore() {
    // The command runs without them too.
    let _ = disable_transparent_huge_pages(false);
}
