//! Paths, which are judged and routed in one form.

use meltemi_policy::path::{Normalization, normalize};

/// A path in its one form stays as it is, and holds nothing that a server might read as another one.
pub fn path(bytes: &[u8]) {
    let [how, target @ ..] = bytes else { return };
    let how = match how % 3 {
        0 => Normalization::Base,
        1 => Normalization::MergeSlashes,
        _ => Normalization::DecodeAndMergeSlashes,
    };
    let Ok(changed) = normalize(target, how) else { return };
    let first = changed.as_deref().unwrap_or(target);
    let again = normalize(first, how);
    let second = again.as_ref().map(|it| it.as_deref().unwrap_or(first));
    assert_eq!(second, Ok(first), "{how:?}: another form of a form");
    if target.first() != Some(&b'/') {
        return;
    }
    let path = first.split(|byte| *byte == b'?').next().unwrap_or_default();
    assert!(path.starts_with(b"/"), "{how:?}: it lost its first slash");
    let mut segments = path.split(|byte| *byte == b'/');
    assert!(segments.all(|segment| segment != b".." && segment != b"."), "{how:?}: dots are left");
    if how != Normalization::Base {
        assert!(!path.windows(2).any(|two| two == b"//"), "{how:?}: two slashes are left");
    }
}
