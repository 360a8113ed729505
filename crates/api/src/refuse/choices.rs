//! Fields of which only one may be there: protobuf's `oneof`.

use super::{Path, Report};

/// Reports if not exactly one of the fields is there.
pub(crate) fn exactly_one(fields: &[(&str, bool)], at: &Path, report: &mut Report) {
    if !fields.iter().any(|(_, is_set)| *is_set) {
        report.error(at.clone(), format!("one of {} is needed", words(fields.iter())));
    }
    at_most_one(fields, at, report);
}

/// Reports if more than one of the fields is there.
pub(crate) fn at_most_one(fields: &[(&str, bool)], at: &Path, report: &mut Report) {
    let set: Vec<_> = fields.iter().filter(|(_, is_set)| *is_set).collect();
    if let [_, second, ..] = set.as_slice() {
        let message = format!("only one of {} can be there", words(set.iter().copied()));
        report.error(at.field(second.0), message).on_key();
    }
}

fn words<'a>(fields: impl Iterator<Item = &'a (&'a str, bool)>) -> String {
    let words: Vec<_> = fields.map(|(name, _)| format!("`{name}`")).collect();
    words.join(", ")
}
