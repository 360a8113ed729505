//! How endpoints are chosen by what calls tell of them: an annotation of destination rules, for what Istio's API has no word for.

use std::collections::BTreeMap;

use crate::metadata::ObjectMeta;
use crate::refuse::{Path, Report};

/// The annotation of a `DestinationRule` that takes the place of `loadBalancer.simple` in all of its policies.
pub const BALANCING: &str = "meltemi.io/balancing";

/// What the annotation may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balancing {
    /// `PEAK_EWMA`: of two the one with the lower product of latency and requests under way.
    PeakEwma,
    /// `LEARNED`: the one that is least loaded by its own word.
    Learned,
}

/// What the annotation says; `None` where it is not there.
pub fn balancing(annotations: &BTreeMap<String, String>) -> Result<Option<Balancing>, String> {
    match annotations.get(BALANCING).map(String::as_str) {
        None => Ok(None),
        Some("PEAK_EWMA") => Ok(Some(Balancing::PeakEwma)),
        Some("LEARNED") => Ok(Some(Balancing::Learned)),
        Some(text) => Err(format!(
            "`{text}` is not a way to balance: write LEARNED or PEAK_EWMA, or leave it out and set loadBalancer.simple"
        )),
    }
}

/// Checks the annotation.
pub(crate) fn check(metadata: &ObjectMeta, report: &mut Report) {
    if let Err(message) = balancing(&metadata.annotations) {
        report.error(Path::of("metadata").field("annotations").field(BALANCING), message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_words_are_taken() {
        let read = |text: &str| balancing(&[(BALANCING.into(), text.into())].into());
        assert_eq!(balancing(&BTreeMap::new()), Ok(None));
        assert_eq!(read("LEARNED"), Ok(Some(Balancing::Learned)));
        assert_eq!(read("PEAK_EWMA"), Ok(Some(Balancing::PeakEwma)));
        for wrong in ["learned", "", "LEARNED ", "ROUND_ROBIN"] {
            let told = read(wrong).unwrap_err();
            assert!(told.contains("LEARNED or PEAK_EWMA") && told.contains(&format!("`{wrong}`")));
        }
    }
}
