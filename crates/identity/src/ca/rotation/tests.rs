//! A replacement of the root, step by step and cut short.

use std::fs;

use super::*;
use crate::TrustBundle;
use crate::svid::Svid;
use crate::tls::check_svid;

const HOUR: Duration = Duration::from_secs(3600);

struct Ca {
    home: tempfile::TempDir,
    authority: Authority,
    now: SystemTime,
}

impl Ca {
    fn new() -> Self {
        let (home, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
        let authority = open(home.path(), now);
        Ca { home, authority, now }
    }

    fn reopen(&mut self) {
        self.authority = open(self.home.path(), self.now);
    }

    fn svid(&self) -> Svid {
        self.authority.issue_control_plane(&[], &[], HOUR, self.now).unwrap()
    }

    fn accepts(&self, bundle: &TrustBundle, svid: &Svid) -> bool {
        check_svid(svid, bundle, self.now).is_ok()
    }
}

fn open(dir: &Path, now: SystemTime) -> Authority {
    Authority::open_or_create(&dir.join("ca"), "cluster.local".parse().unwrap(), now).unwrap()
}

#[test]
fn at_every_step_what_was_signed_before_and_what_is_signed_now_is_believed() {
    for restarts in [false, true] {
        let mut ca = Ca::new();
        let (first, old) = (ca.authority.bundle(), ca.svid());
        assert_eq!(ca.authority.rotation(), Rotation::Idle);

        ca.authority.prepare_root(ca.now).unwrap();
        if restarts {
            ca.reopen();
        }
        assert_eq!(ca.authority.rotation(), Rotation::Prepared);
        let both = ca.authority.bundle();
        assert_eq!((both.roots().len(), &both.roots()[0]), (2, &first.roots()[0]));
        assert!(ca.accepts(&first, &ca.svid()), "who has not heard yet is not shut out");
        assert!(ca.authority.prepare_root(ca.now).is_err());
        assert!(ca.authority.retire_roots(true, ca.now).is_err());

        ca.authority.activate_root(ca.now).unwrap();
        if restarts {
            ca.reopen();
        }
        let (turned, new) = (ca.authority.bundle(), ca.svid());
        assert_eq!(turned.roots()[0], both.roots()[1]);
        assert!(ca.accepts(&both, &new) && ca.accepts(&turned, &old));
        assert!(!ca.accepts(&first, &new), "it is another root");
        assert!(ca.authority.activate_root(ca.now).is_err());
        let Rotation::Activated { until } = ca.authority.rotation() else { panic!() };
        assert!(until > ca.now + sign::MAX_TTL - HOUR);

        let early = ca.authority.retire_roots(false, ca.now).unwrap_err().to_string();
        assert!(early.contains("force"), "{early}");
        ca.authority.retire_roots(false, until + HOUR).unwrap();
        if restarts {
            ca.reopen();
        }
        assert_eq!(ca.authority.rotation(), Rotation::Idle);
        let last = ca.authority.bundle();
        assert!(ca.accepts(&last, &ca.svid()) && !ca.accepts(&last, &old));
        // And once more: nothing of the first time is in the way.
        ca.authority.prepare_root(ca.now).unwrap();
        ca.authority.activate_root(ca.now).unwrap();
        assert!(ca.accepts(&ca.authority.bundle(), &new));
    }
}

#[test]
fn a_crash_in_the_middle_is_made_good_at_the_next_start() {
    let mut ca = Ca::new();
    ca.authority.prepare_root(ca.now).unwrap();
    let dir = ca.home.path().join("ca");
    // Activation has turned the roots, and no more.
    let mut roots = read_certificates(&dir.join(ROOT_CERT)).unwrap();
    roots.rotate_right(1);
    write_roots(&ca.authority, &roots).unwrap();
    ca.reopen();
    assert!(!dir.join(NEXT_KEY).exists());
    let first = TrustBundle::new([roots[0].clone()]).unwrap();
    assert!(ca.accepts(&first, &ca.svid()), "the new root signs");

    // Preparation has made a key, and no more.
    let mut ca = Ca::new();
    let dir = ca.home.path().join("ca");
    make_key(&dir.join(NEXT_KEY)).unwrap();
    ca.reopen();
    assert_eq!(ca.authority.rotation(), Rotation::Idle);
    ca.authority.prepare_root(ca.now).unwrap();
    ca.authority.activate_root(ca.now).unwrap();
}

#[test]
fn a_ca_that_is_given_is_left_alone() {
    let ca = Ca::new();
    let dir = ca.home.path().join("ca");
    let before = fs::read(dir.join(ROOT_CERT)).unwrap();
    let domain = "cluster.local".parse().unwrap();
    let given = Authority::from_cacerts(&dir, domain, ca.now).unwrap();
    assert!(given.prepare_root(ca.now).unwrap_err().to_string().contains("--cacerts"));
    assert_eq!(fs::read(dir.join(ROOT_CERT)).unwrap(), before);
}
