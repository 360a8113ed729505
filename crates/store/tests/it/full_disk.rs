//! A disk that fills up under a real file: the error is clear, reads go on, and nothing acknowledged is lost.
//!
//! The child is given a limit on file sizes, which the kernel enforces as it does a full disk: the write fails.

use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use meltemi_store::{EmbeddedStore, Expect, Key, Selector, Store, StoreError};

/// Set in the child: the store's file. Without it the child's half is an empty test.
const STORE: &str = "MELTEMI_TEST_FULL_STORE";
const CHILD: &str = "full_disk::writer_on_a_small_disk";
/// Large enough that the limit is met after a dozen or so.
const LARGE: usize = 300_000;

fn key(index: usize) -> Key {
    Key::new("", "configmaps", Some("default"), &format!("c{index}"))
}

fn large() -> Bytes {
    Bytes::from(format!("\"{}\"", "x".repeat(LARGE)))
}

/// The child's half: writes until the disk is full, then makes room and goes on.
#[tokio::test]
async fn writer_on_a_small_disk() {
    let Some(path) = std::env::var_os(STORE) else {
        return;
    };
    let store = EmbeddedStore::open(&path).unwrap();
    let mut written = 0;
    let error = loop {
        match store.put(key(written), large(), Expect::Absent).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    let listing = store.list(&Selector::all()).await.unwrap();
    assert_eq!(listing.entries.len(), written, "reads go on, without the failed write");
    // Small writes still find room; before each the file is opened again after the failure.
    let small = store.put(key(0), Bytes::from_static(b"{}"), Expect::Any).await;
    println!("written {written} small {}", small.is_ok());
}

#[tokio::test]
async fn nothing_acknowledged_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let (written, small) = run_child(&path);
    assert!(written >= 2, "the limit was met too early");
    let store = EmbeddedStore::open(&path).unwrap();
    for index in 0..written {
        let expected = if index == 0 && small { Bytes::from_static(b"{}") } else { large() };
        let entry = store.get(&key(index)).await.unwrap().expect("an acknowledged object is there");
        assert!(entry.value == expected, "object {index} is whole");
    }
    store.put(key(written), large(), Expect::Any).await.expect("there is room again");
}

/// Runs the child under the limit; returns what it printed.
fn run_child(path: &Path) -> (usize, bool) {
    // The signal is ignored so that the write fails, as on a full disk. The limit is in blocks of 512 bytes or of 1 KiB.
    let script = format!("trap '' XFSZ; ulimit -f 20480; exec \"$0\" {CHILD} --exact --nocapture");
    let output = Command::new("sh")
        .arg("-c")
        .arg(script)
        .arg(std::env::current_exe().unwrap())
        .env(STORE, path)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    let line = text.split_once("written ").expect("the child tells what it wrote").1;
    let mut words = line.split_whitespace();
    let written = words.next().unwrap().parse().unwrap();
    (written, words.nth(1) == Some("true"))
}
