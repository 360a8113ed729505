//! Texts that become a part of a message's head: what would break the message is told before anybody sends it.

use meltemi_policy::route::{is_header_value, is_target_text};

use super::{Path, Report};

/// Checks a part of a request's target, or of an authority (RFC 9112, 3.2).
pub(crate) fn check_target_text(text: &str, at: Path, report: &mut Report) {
    if !is_target_text(text) {
        let message = format!("{text:?} has a blank or a control character");
        report.error(at, message).suggest("write it percent-encoded, as in `%20`");
    }
}

/// Checks a header's value (RFC 9110, 5.5).
pub(crate) fn check_header_value(text: &str, at: Path, report: &mut Report) {
    if text.contains(['\r', '\n', '\0']) {
        report.error(at, "a header's value cannot have line breaks");
    } else if !is_header_value(text) {
        report.error(at, format!("{text:?}: a header's value cannot have control characters"));
    }
}
