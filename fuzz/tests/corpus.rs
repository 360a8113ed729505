//! Every input that was found to matter is given to its target again.

use std::panic::{AssertUnwindSafe, catch_unwind};

use meltemi_fuzz::{TARGETS, corpus};

#[test]
fn targets_hold_to_what_they_promise_for_all_of_the_corpus() {
    for (name, target) in TARGETS {
        let files = corpus(name).unwrap_or_else(|error| panic!("the corpus of {name}: {error}"));
        assert!(files.len() >= 3, "{name} has {} inputs", files.len());
        for file in files {
            let bytes = std::fs::read(&file).expect("a file of the corpus can be read");
            let held = catch_unwind(AssertUnwindSafe(|| target(&bytes)));
            assert!(held.is_ok(), "{name} breaks its promise with {}", file.display());
        }
    }
}

/// libFuzzer has a program for each target.
#[test]
fn every_target_is_run() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/runner/fuzz_targets");
    let programs = std::fs::read_dir(folder).expect("the programs").map(|it| it.unwrap().path());
    let mut programs: Vec<_> = programs
        .map(|path| path.file_stem().unwrap().to_str().expect("a name").to_owned())
        .collect();
    programs.sort();
    assert_eq!(programs, TARGETS.map(|(name, _)| name));
}
