//! Which of the CA's files are refused, and which are made anew.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::*;

fn open(dir: &Path, now: SystemTime) -> Result<Authority, AuthorityError> {
    Authority::open_or_create(dir, "cluster.local".parse().unwrap(), now)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn contents(dir: &Path) -> Vec<String> {
    [ROOT_KEY, ROOT_CERT, CA_KEY, CA_CERT, CERT_CHAIN]
        .map(|name| fs::read_to_string(dir.join(name)).unwrap())
        .into()
}

#[test]
fn a_key_that_others_can_read_is_refused_and_nothing_is_made_in_its_place() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("ca");
    let now = SystemTime::now();
    let due = open(&dir, now).unwrap().not_after() - Duration::from_secs(60);
    let before = contents(&dir);
    for name in [CA_KEY, ROOT_KEY] {
        for mode in [0o640, 0o604, 0o644] {
            let path = dir.join(name);
            set_mode(&path, mode);
            // Also when a new intermediate would be due.
            for now in [now, due] {
                let message = open(&dir, now).unwrap_err().to_string();
                let remedy = format!("chmod 600 {}", path.display());
                assert!(message.contains(&format!("{mode:04o}")), "{message}");
                assert!(message.contains(&remedy), "{message}");
            }
            assert_eq!(contents(&dir), before, "{name} {mode:o}");
            set_mode(&path, 0o600);
        }
    }
    open(&dir, now).unwrap();
    assert_eq!(contents(&dir), before, "mended keys serve on");
}

#[test]
fn a_pair_that_does_not_fit_is_made_anew() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("ca");
    let now = SystemTime::now();
    open(&dir, now).unwrap();
    let before = contents(&dir);
    private_file::write_secret(&dir.join(CA_KEY), key::generate().unwrap().to_pem().as_bytes())
        .unwrap();
    open(&dir, now).unwrap();
    let after = contents(&dir);
    assert_eq!(after[..2], before[..2], "the root stays");
    assert_ne!(after[3], before[3]);
}
