//! SIGKILL at any moment loses no acknowledged write of the embedded store.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use meltemi_store::{EmbeddedStore, Expect, Key, Selector, Store};

/// Set in the child: the store's file. Without it the child's half is an empty test.
const STORE: &str = "MELTEMI_TEST_STORE";
const CHILD: &str = "durability::writer_until_killed";

fn key(index: u64) -> Key {
    Key::new("", "services", Some("default"), &format!("s{index}"))
}

/// The child's half: writes without end and prints each acknowledged write.
#[tokio::test]
async fn writer_until_killed() {
    let Some(path) = std::env::var_os(STORE) else {
        return;
    };
    let store = EmbeddedStore::open(path).unwrap();
    for index in 0..u64::MAX {
        let (first, second) = (index, index + 1);
        let put = |index| {
            store.put(key(index % 50), Bytes::from(format!("{{\"n\":{index}}}")), Expect::Any)
        };
        // Two at once, so that commits hold more than one write.
        let (a, b) = tokio::join!(put(first * 2), put(second * 2 + 1));
        println!("ack {} {} {} {}", first * 2, a.unwrap(), second * 2 + 1, b.unwrap());
    }
}

/// Runs the child until it has acknowledged `lines` pairs of writes, kills it by pid, and returns what it
/// acknowledged as (value, version).
fn write_and_kill(path: &Path, lines: usize) -> Vec<(u64, u64)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([CHILD, "--exact", "--nocapture", "--test-threads=1"])
        .env(STORE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut take = |line: String| {
        let Some(rest) = line.split_once("ack ").map(|(_, rest)| rest) else {
            return;
        };
        let numbers: Vec<u64> = rest.split(' ').filter_map(|number| number.parse().ok()).collect();
        if let [a, va, b, vb] = numbers[..] {
            acknowledged.extend([(a, va), (b, vb)]);
        }
    };
    for line in output.by_ref().take(lines) {
        take(line.unwrap());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What the child had still printed before it died was acknowledged too.
    output.map_while(Result::ok).for_each(take);
    acknowledged
}

#[tokio::test]
async fn killed_writers_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let mut highest = 0;
    for lines in [3, 17, 40, 91] {
        let acknowledged = write_and_kill(&path, lines);
        assert!(!acknowledged.is_empty());
        let store = EmbeddedStore::open(&path).unwrap();
        let listing = store.list(&Selector::all()).await.unwrap();
        for (value, version) in acknowledged {
            assert!(
                version > highest || version <= listing.version,
                "versions go on where they were"
            );
            let entry = store
                .get(&key(value % 50))
                .await
                .unwrap()
                .expect("an acknowledged object is there");
            assert!(
                entry.version >= version,
                "{value} at {version} was acknowledged; found {}",
                entry.version
            );
            if entry.version == version {
                assert_eq!(entry.value, format!("{{\"n\":{value}}}"));
            }
        }
        assert!(listing.version > highest);
        highest = listing.version;
    }
}
