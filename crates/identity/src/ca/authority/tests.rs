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

#[test]
fn what_would_be_felt_a_year_later_is_known_at_the_start() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("ca");
    let now = SystemTime::now();
    let domain = "cluster.local".parse().unwrap();
    open(&dir, now).unwrap();
    assert!(doubts::root_key(&dir).is_none());
    assert_eq!(doubts::other_trust_domain(&dir, &domain), None);
    let other = doubts::other_trust_domain(&dir, &"example.org".parse().unwrap());
    assert_eq!(other.as_deref(), Some("cluster.local"));

    let (path, key) = (dir.join(ROOT_KEY), fs::read_to_string(dir.join(ROOT_KEY)).unwrap());
    let foreign = fs::read_to_string(dir.join(CA_KEY)).unwrap();
    for content in ["", "garbage", &key[..100], &foreign] {
        fs::write(&path, content).unwrap();
        assert!(doubts::root_key(&dir).is_some(), "{content}");
        open(&dir, now).unwrap();
    }
    fs::remove_file(&path).unwrap();
    assert!(doubts::root_key(&dir).is_none(), "it may be kept elsewhere");
}

#[test]
fn a_file_that_is_cut_off_is_told_in_words() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("ca");
    let now = SystemTime::now();
    open(&dir, now).unwrap();
    let path = dir.join(ROOT_CERT);
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, &whole[..200]).unwrap();
    let message = open(&dir, now).unwrap_err().to_string();
    for part in ["root-cert.pem", "cut off", "-----END CERTIFICATE-----"] {
        assert!(message.contains(part), "{message}");
    }
}
