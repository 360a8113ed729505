//! How many endpoints of a large service one client is sent: an annotation of services and service entries.

use std::collections::BTreeMap;

use crate::metadata::ObjectMeta;
use crate::refuse::{Path, Report};

/// The annotation of a `Service` or `ServiceEntry` that switches subsetting on, and says how many endpoints a client has.
pub const ENDPOINT_SUBSET: &str = "meltemi.io/endpoint-subset";
/// The least that it may say: with fewer endpoints a client, chance spreads load too unevenly (gRFC A68).
pub const SMALLEST_ENDPOINT_SUBSET: usize = 20;

/// What the annotation says; `None` where it is not there.
pub fn endpoint_subset(annotations: &BTreeMap<String, String>) -> Result<Option<usize>, String> {
    let Some(text) = annotations.get(ENDPOINT_SUBSET) else { return Ok(None) };
    // `+20` would be a number too.
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(size) if is_number && size >= SMALLEST_ENDPOINT_SUBSET => Ok(Some(size)),
        _ => Err(format!(
            "`{text}` is not a number of endpoints: write {SMALLEST_ENDPOINT_SUBSET} or more"
        )),
    }
}

/// Checks the annotation.
pub(crate) fn check(metadata: &ObjectMeta, report: &mut Report) {
    if let Err(message) = endpoint_subset(&metadata.annotations) {
        report.error(Path::of("metadata").field("annotations").field(ENDPOINT_SUBSET), message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_twenty_or_more_is_taken() {
        let read = |text: &str| endpoint_subset(&[(ENDPOINT_SUBSET.into(), text.into())].into());
        assert_eq!(endpoint_subset(&BTreeMap::new()), Ok(None));
        assert_eq!((read("20"), read("500")), (Ok(Some(20)), Ok(Some(500))));
        let huge = "9".repeat(30);
        for wrong in ["19", "0", "", "-20", "+20", "20 ", "2e1", "many", &huge] {
            let told = read(wrong).unwrap_err();
            assert_eq!(told, format!("`{wrong}` is not a number of endpoints: write 20 or more"));
        }
    }
}
