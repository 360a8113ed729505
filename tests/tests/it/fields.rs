//! The pages say which fields of the API are honoured; each of them is shown by a test of a whole mesh, which names it in
//! a line `Fields: KIND path, path` above itself. A row "as `FIELD`" needs one test for all that is below it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const DOC: &str = include_str!("../../../docs/compatibility.md");

/// Kinds whose honoured fields must all be named. Of other kinds only rows of the page may be named.
const KINDS: &[&str] = &[
    "Sidecar",
    "VirtualService",
    "DestinationRule",
    "ServiceEntry",
    "WorkloadEntry",
    "WorkloadGroup",
    "ProxyConfig",
    "ReferenceGrant",
    "AuthorizationPolicy",
    "RequestAuthentication",
    "HTTPRoute",
    "GRPCRoute",
    "PeerAuthentication",
];

/// The fields of each kind.
type Fields = BTreeMap<String, BTreeSet<String>>;

/// The rows of the page, and those of them that a test has to show: what is honoured, and what is as something that is.
fn rows() -> [Fields; 2] {
    let (mut all, mut honoured) = (Fields::new(), Fields::new());
    for section in DOC.split("\n## ").skip(1) {
        let (kind, rows) = section.split_once('\n').expect("a heading has a line");
        let rows = rows.lines().filter(|row| row.starts_with("| `"));
        let rows: Vec<_> = rows.map(|row| row.split('`').collect::<Vec<_>>()).collect();
        let field = |row: &Vec<&str>| row[1].to_owned();
        let is_honoured = |row: &&Vec<&str>| row[2].starts_with(" | honoured");
        let mut shown: BTreeSet<_> = rows.iter().filter(is_honoured).map(field).collect();
        let alike = rows.iter().filter(|row| row[2].ends_with(" | as ")).filter(|row| {
            let below = format!("{}.", row[3]);
            shown.iter().any(|it| it.starts_with(&below))
        });
        let alike: Vec<_> = alike.map(field).collect();
        shown.extend(alike);
        all.insert(kind.to_owned(), rows.iter().map(field).collect());
        honoured.insert(kind.to_owned(), shown);
    }
    [all, honoured]
}

/// The words after `Fields:` in the comments of a source, to the end of each comment's list.
fn lists(source: &str) -> Vec<String> {
    let mut lists: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in source.lines() {
        let comment = line.trim_start().strip_prefix("/// ");
        match (comment, comment.and_then(|it| it.strip_prefix("Fields: "))) {
            (_, Some(first)) => (lists.push(first.to_owned()), goes_on = true).0,
            (Some(more), None) if goes_on => {
                let list = lists.last_mut().expect("there is one that goes on");
                list.push(' ');
                list.push_str(more);
            }
            _ => goes_on = false,
        }
        // Only a list that ends with a comma has more of it in the next line.
        goes_on &= comment.is_some_and(|it| it.ends_with([',', ';']));
    }
    lists
}

/// Adds what a folder's tests name. A word without a dot is the kind of what follows it.
fn read(folder: &Path, named: &mut Fields) {
    for entry in std::fs::read_dir(folder).expect("the folder of the tests") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read(&path, named);
        } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("fields.rs") {
            let source = std::fs::read_to_string(&path).expect("a source is text");
            for list in lists(&source) {
                let mut kind = None;
                for word in list.split([',', ';', ' ']).filter(|word| !word.is_empty()) {
                    if word.contains('.') {
                        let kind: &String = kind
                            .as_ref()
                            .unwrap_or_else(|| panic!("{}: {list}: no kind", path.display()));
                        named.entry(kind.clone()).or_default().insert(word.to_owned());
                    } else {
                        kind = Some(word.to_owned());
                    }
                }
            }
        }
    }
}

#[test]
fn every_honoured_field_is_shown_over_real_sockets() {
    let [all, honoured] = rows();
    let mut named = Fields::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it"), &mut named);
    let (none, mut wrong) = (BTreeSet::new(), Vec::new());
    for (kind, named) in &named {
        let may = if KINDS.contains(&kind.as_str()) { &honoured } else { &all };
        let strange = named.difference(may.get(kind).unwrap_or(&none));
        wrong.extend(strange.map(|it| format!("{kind} {it}: named, and no honoured row")));
    }
    for kind in KINDS {
        let (honoured, named) = (&honoured[*kind], named.get(*kind).unwrap_or(&none));
        let lacking = honoured.difference(named);
        wrong.extend(lacking.map(|it| format!("{kind} {it}: honoured, and no test names it")));
    }
    assert!(wrong.is_empty(), "docs/compatibility.md and the tests:\n{}", wrong.join("\n"));
}

#[test]
fn lists_go_on_over_lines() {
    let source = "/// Of two.\n/// Fields: A spec.a, spec.b,\n/// spec.c\n/// Not more.\nfn a() {}\n\
        \x20   /// Fields: B spec.d; C spec.e\n";
    assert_eq!(lists(source), ["A spec.a, spec.b, spec.c", "B spec.d; C spec.e"]);
}
