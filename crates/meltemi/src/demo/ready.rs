//! Waits for the files by which sidecars tell that they are ready.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use serde::de::DeserializeOwned;
use tokio::io::unix::AsyncFd;

/// A directory in which files appear.
#[derive(Debug)]
pub(super) struct Watched {
    events: AsyncFd<OwnedFd>,
}

impl Watched {
    /// Takes note of all files that are finished from here on.
    pub(super) fn new(directory: &Path) -> io::Result<Watched> {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        inotify::add_watch(&events, directory, WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO)?;
        Ok(Watched { events: register(events)? })
    }

    /// Waits until a file is there and can be read as JSON, which it can not before it is written in full.
    pub(super) async fn read<T: DeserializeOwned>(&self, file: &Path) -> io::Result<T> {
        loop {
            let read = std::fs::read(file).ok();
            if let Some(value) = read.and_then(|text| serde_json::from_slice(&text).ok()) {
                return Ok(value);
            }
            self.changed().await?;
        }
    }

    async fn changed(&self) -> io::Result<()> {
        loop {
            let mut ready = self.events.readable().await?;
            let mut space = [MaybeUninit::uninit(); 4096];
            let read = ready.try_io(|events| {
                Ok(rustix::io::read(events.get_ref(), &mut space).map(|(read, _)| read.len())?)
            });
            if let Ok(read) = read {
                return read.map(drop);
            }
        }
    }
}

#[expect(
    deprecated,
    reason = "its heir is unsafe; an `OwnedFd` keeps its descriptor, as it should"
)]
fn register(events: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_read_when_it_is_there_in_full() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.json");
        let watched = Watched::new(directory.path()).unwrap();
        let (begun, finished) = tokio::sync::oneshot::channel::<()>();
        let write = async {
            std::fs::write(&file, "[1,").unwrap();
            finished.await.unwrap();
            std::fs::write(directory.path().join("b"), "[1,2]").unwrap();
            std::fs::rename(directory.path().join("b"), &file).unwrap();
        };
        let read = async {
            // Sees the half file first, as the other half is written only after this.
            let mut read = std::pin::pin!(watched.read::<Vec<u32>>(&file));
            tokio::select! {
                biased;
                early = &mut read => panic!("read {early:?} of half a file"),
                () = std::future::ready(()) => {}
            }
            begun.send(()).unwrap();
            read.await.unwrap()
        };
        let (read, ()) = tokio::join!(read, write);
        assert_eq!(read, [1, 2]);
    }
}
