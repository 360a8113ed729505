//! Labels, as Kubernetes has them: what selectors choose by.

use crate::is_dns_subdomain;

/// Whether the text may be the name of a label or annotation, `[PREFIX/]NAME`: a DNS subdomain, and a word of at most 63 letters,
/// digits, `-`, `_` and `.` (Kubernetes, "Labels and Selectors", syntax and character set).
pub fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_word(name),
        None => is_word(text),
    }
}

/// Whether the text may be a label's value: empty, or such a word.
pub fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_word(text)
}

fn is_word(text: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_as_kubernetes_has_them() {
        let long = "x".repeat(63);
        for key in [
            "app",
            "meltemi.io/name",
            "a_B.c-1",
            &long,
            &format!("{}/{long}", "a.".repeat(100) + "b"),
        ] {
            assert!(is_label_key(key), "{key}");
        }
        for key in
            ["", "a b", "/a", "a/", "a/b/c", "-a", "a-", "A.io/a", "\u{e4}", &format!("{long}x")]
        {
            assert!(!is_label_key(key), "{key}");
        }
        for value in ["", "v1", "1.2_3-4", &long] {
            assert!(is_label_value(value), "{value}");
        }
        for value in ["x y", "a/b", ".a", "a.", &format!("{long}x")] {
            assert!(!is_label_value(value), "{value}");
        }
    }
}
