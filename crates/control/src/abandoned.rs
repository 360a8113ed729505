//! State directories of one run each, whose control plane was killed before it could remove them.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::state_dir::LOCK;

/// Removes a state directory with its keys if its control plane has ended: nobody but `owner` may write to it, and the
/// lock that was held once nobody holds any longer. Answers whether it was removed. To be asked only of directories that are never used again.
///
/// # Errors
/// When it cannot be looked at or removed.
pub fn remove_abandoned(path: &Path, owner: u32) -> io::Result<bool> {
    // Not what a link leads to.
    let found = path.symlink_metadata()?;
    if !found.is_dir() || found.uid() != owner || found.mode() & 0o022 != 0 {
        return Ok(false);
    }
    // One that is just being made has nothing but its lock, if that: all else is written by who holds it.
    let names = fs::read_dir(path)?.map(|entry| entry.map(|it| it.file_name()));
    if names.collect::<io::Result<Vec<_>>>()?.iter().all(|name| name == LOCK) {
        return Ok(false);
    }
    let place = path.join(LOCK);
    let lock = OpenOptions::new().write(true).open(&place)?;
    if lock.try_lock().is_err() {
        return Ok(false);
    }
    // Another one may have removed it since it was opened.
    let (held, there) = (lock.metadata()?, place.symlink_metadata()?);
    if (held.dev(), held.ino()) != (there.dev(), there.ino()) {
        return Ok(false);
    }
    fs::remove_dir_all(path).map(|()| true)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    use super::*;
    use crate::state_dir::StateDir;

    /// A state directory of which somebody has held the lock and written a key; and who we are.
    fn left(parent: &Path) -> (PathBuf, u32) {
        let path = parent.join("left");
        drop(StateDir::open(&path).unwrap());
        fs::create_dir(path.join("ca")).unwrap();
        fs::write(path.join("ca/root.key"), "secret").unwrap();
        let owner = path.metadata().unwrap().uid();
        (path, owner)
    }

    #[test]
    fn a_directory_whose_holder_has_ended_is_removed_and_no_other() {
        let parent = tempfile::tempdir().unwrap();
        let (path, owner) = left(parent.path());
        let held = StateDir::open(&path).unwrap();
        assert!(!remove_abandoned(&path, owner).unwrap(), "it is held");
        drop(held);
        assert!(!remove_abandoned(&path, owner + 1).unwrap(), "it is another user's");
        let link = parent.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(!remove_abandoned(&link, owner).unwrap(), "a link is no directory");
        fs::set_permissions(&path, Permissions::from_mode(0o770)).unwrap();
        assert!(!remove_abandoned(&path, owner).unwrap(), "others may write to it");
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        assert!(path.join("ca/root.key").exists());
        assert!(remove_abandoned(&path, owner).unwrap());
        assert!(!path.exists());
        assert!(remove_abandoned(&path, owner).is_err(), "there is nothing");
    }

    #[test]
    fn what_a_link_in_it_leads_to_stays() {
        let parent = tempfile::tempdir().unwrap();
        let (path, owner) = left(parent.path());
        let elsewhere = parent.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join("file"), "mine").unwrap();
        symlink(&elsewhere, path.join("link")).unwrap();
        assert!(remove_abandoned(&path, owner).unwrap());
        assert!(elsewhere.join("file").exists());
    }

    #[test]
    fn one_that_is_just_being_made_stays() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("new");
        drop(StateDir::open(&path).unwrap());
        let owner = path.metadata().unwrap().uid();
        assert!(!remove_abandoned(&path, owner).unwrap(), "its lock is not taken yet");
        fs::remove_file(path.join(LOCK)).unwrap();
        assert!(!remove_abandoned(&path, owner).unwrap(), "it has no lock yet");
        assert!(path.exists());
    }
}
