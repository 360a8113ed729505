//! Keeps a sidecar small: without transparent huge pages the allocator's first touch of an arena costs a page of 4 KiB, not
//! one of 2 MiB. An idle proxy takes 15 MiB then instead of 22.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::thread::{disable_transparent_huge_pages, transparent_huge_pages_are_disabled};

static SAVING: AtomicBool = AtomicBool::new(false);

/// Switches huge pages off for this process, and so for those that it starts: see [`restore`].
pub fn save() {
    let is_off_already = transparent_huge_pages_are_disabled().unwrap_or(true);
    if !is_off_already && disable_transparent_huge_pages(true).is_ok() {
        SAVING.store(true, Ordering::Relaxed);
    }
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
