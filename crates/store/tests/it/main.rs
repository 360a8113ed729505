//! The backends, each over the shared suite and its own promises.

mod conformance;
mod directory;
mod durability;
mod embedded;
mod full_disk;
mod history;
