//! What rules change in heads.

use meltemi_policy::route::HeaderEdit;

use crate::http::head::{Fields, RequestHead};

/// Makes the changes, in their order.
pub(crate) fn apply(fields: &mut Fields, edits: &[HeaderEdit]) {
    for edit in edits {
        match edit {
            HeaderEdit::Remove(name) => fields.remove_name(name.as_bytes()),
            HeaderEdit::Set(name, value) => put(fields, name, value.as_bytes()),
            HeaderEdit::Add(name, value) => fields.push(name.as_bytes(), value.as_bytes()),
        }
    }
}

/// Leaves one field of this name, with this value.
pub(crate) fn put(fields: &mut Fields, name: &str, value: &[u8]) {
    fields.remove_name(name.as_bytes());
    fields.push(name.as_bytes(), value);
}

/// Puts another path in place of the request's. What it was is told in `x-envoy-original-path`, as Envoy does.
pub(crate) fn set_path(head: &mut RequestHead, path: &[u8]) {
    let before = head.target().to_vec();
    put(&mut head.fields, "x-envoy-original-path", &before);
    head.set_target(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_made_in_their_order() {
        let mut fields = Fields::default();
        for (name, value) in [("X-A", "1"), ("x-b", "2"), ("x-a", "3")] {
            fields.push(name.as_bytes(), value.as_bytes());
        }
        let edits = [
            HeaderEdit::Remove("x-b".into()),
            HeaderEdit::Set("x-a".into(), "4".into()),
            HeaderEdit::Add("x-a".into(), "5".into()),
            HeaderEdit::Add("x-c".into(), "6".into()),
        ];
        apply(&mut fields, &edits);
        let left: Vec<(&[u8], &[u8])> =
            fields.iter().map(|(_, name, value)| (name, value)).collect();
        assert_eq!(left, [(&b"x-a"[..], &b"4"[..]), (b"x-a", b"5"), (b"x-c", b"6")]);
    }
}
