//! Resources as users write them.

use meltemi_api::{Options, Source, parse};

/// A text of YAML or JSON. What is wrong is told with its place, and one that is taken can be written.
pub fn yaml(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // YAML knows three kinds of line ends; of two bytes in a row each may be one.
    let lines = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 1;
    let source = Source { file: "it".into(), text: text.into() };
    match parse(&[source], &Options::default()) {
        Ok(accepted) => {
            for object in &accepted.objects {
                drop((object.name(), object.namespace(), object.without_effect()));
            }
        }
        Err(findings) => {
            assert!(findings.iter().any(|it| it.is_error()), "refused without a reason");
            for finding in findings {
                assert!(!finding.message.is_empty() && finding.line <= lines, "{finding}");
            }
        }
    }
}
