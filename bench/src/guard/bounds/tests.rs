//! What is let pass, what is not, and what the file may hold.

use super::*;

const STORED: Price = Price { instructions: 50_000.0, allocations: 3.0 };

fn bounds() -> Bounds {
    let mut bounds = Bounds::default();
    bounds.put(Case::Http1Caller, STORED);
    bounds
}

fn excesses(instructions: f64, allocations: f64) -> Vec<String> {
    match bounds().check(&[(Case::Http1Caller, Price { instructions, allocations })]) {
        Ok(()) => Vec::new(),
        Err(GuardError::Exceeded(excesses)) => excesses,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn margins_are_let_pass() {
    for (instructions, allocations) in [(50_000.0, 3.0), (51_999.0, 3.39), (20_000.0, 0.0)] {
        assert_eq!(excesses(instructions, allocations), Vec::<String>::new());
    }
}

#[test]
fn each_excess_is_told_with_what_was_measured_and_what_is_the_bound() {
    assert_eq!(
        excesses(55_000.0, 3.5),
        [
            "http1-caller: 55000 instructions a request, +10.0 % on the stored 50000; the bound is 52000",
            "http1-caller: 3.50 allocations a request, +0.50 on the stored 3.00; the bound is 3.40",
        ]
    );
    assert_eq!(excesses(52_001.0, 3.0).len(), 1);
    assert_eq!(excesses(50_000.0, 3.41).len(), 1);
}

#[test]
fn a_case_without_a_bound_does_not_pass() {
    let error = bounds().check(&[(Case::GrpcCaller, STORED)]).unwrap_err().to_string();
    for part in ["grpc-caller: no bound is stored", "--update", "--profiles"] {
        assert!(error.contains(part), "{part:?} in {error}");
    }
}

#[test]
fn much_better_is_told_from_a_little_better() {
    let is_far_below =
        |instructions, allocations| Price { instructions, allocations }.is_far_below(STORED);
    assert!(!is_far_below(48_001.0, 2.61));
    assert!(is_far_below(47_999.0, 3.0));
    assert!(is_far_below(50_000.0, 2.0));
}

#[test]
fn the_file_is_read_as_it_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bounds.json");
    let mut bounds = bounds();
    bounds.put(Case::GrpcEndpoint, Price { instructions: 1234.5678, allocations: 7.0049 });
    bounds.write(&file).unwrap();
    let read = Bounds::read(&file).unwrap();
    assert_eq!(read, bounds);
    let rounded = Price { instructions: 1235.0, allocations: 7.0 };
    assert_eq!(read.find(Case::GrpcEndpoint), Some(rounded));
}

#[test]
fn a_file_that_is_wrong_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bounds.json");
    for text in [
        "",
        r#"{"http3-caller": {"instructions": 1, "allocations": 1}}"#,
        r#"{"http1-caller": {"instructions": 1}}"#,
        r#"{"http1-caller": {"instructions": 1, "allocations": 1, "time": 1}}"#,
    ] {
        std::fs::write(&file, text).unwrap();
        let error = Bounds::read(&file).unwrap_err().to_string();
        assert!(error.contains("bounds.json") && error.contains("cannot be read"), "{error}");
    }
    std::fs::remove_file(&file).unwrap();
    assert!(Bounds::read(&file).unwrap_err().to_string().contains("--update"));
}
