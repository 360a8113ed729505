//! Annotations of this mesh's own: where one stands that does nothing there, or whose name is almost one, its author is told.

use crate::Kind;
use crate::balancing::BALANCING;
use crate::metadata::ObjectMeta;
use crate::outliers::OUTLIER_DETECTION;
use crate::refuse::{Path, Report, nearest};
use crate::subset::ENDPOINT_SUBSET;

/// Those that people write, and the kinds that they are for.
const OF: [(&str, &[Kind]); 3] = [
    (BALANCING, &[Kind::DestinationRule]),
    (OUTLIER_DETECTION, &[Kind::DestinationRule]),
    (ENDPOINT_SUBSET, &[Kind::Service, Kind::ServiceEntry]),
];
/// What all of them begin with.
const PREFIX: &str = "meltemi.io/";

/// Warns of annotations without effect on objects of this kind.
pub(crate) fn check(kind: Kind, metadata: &ObjectMeta, report: &mut Report) {
    for name in metadata.annotations.keys() {
        let Some(word) = name.get(..PREFIX.len()).filter(|it| it.eq_ignore_ascii_case(PREFIX))
        else {
            continue;
        };
        let at = || Path::of("metadata").field("annotations").field(name);
        if let Some((_, kinds)) = OF.iter().find(|(known, _)| known == name) {
            if !kinds.contains(&kind) {
                let kinds: Vec<&str> = kinds.iter().map(|it| it.kind()).collect();
                let message = format!("it has no effect here: it is for {}", kinds.join(", "));
                report.warn(at(), message);
            }
            continue;
        }
        let rest = &name[word.len()..];
        let known = OF.iter().map(|(known, _)| &known[PREFIX.len()..]);
        if let Some(meant) = nearest(rest, known) {
            let message = format!("there is no such annotation: is {PREFIX}{meant} meant?");
            report.warn(at(), message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;

    #[test]
    fn what_has_no_effect_is_told() {
        for (kind, name, expected) in [
            (Kind::DestinationRule, "meltemi.io/balancing", None),
            (Kind::ServiceEntry, "meltemi.io/endpoint-subset", None),
            (Kind::VirtualService, "meltemi.io/balancing", Some("it is for DestinationRule")),
            (Kind::Service, "meltemi.io/outlier-detection", Some("it is for DestinationRule")),
            (
                Kind::DestinationRule,
                "meltemi.io/endpoint-subset",
                Some("it is for Service, ServiceEntry"),
            ),
            (Kind::DestinationRule, "meltemi.io/balancin", Some("meltemi.io/balancing meant")),
            (Kind::DestinationRule, "meltemi.io/Balancing", Some("meltemi.io/balancing meant")),
            (Kind::DestinationRule, "Meltemi.io/balancing", Some("meltemi.io/balancing meant")),
            (Kind::DestinationRule, "meltemi.io/applied", None),
            (Kind::WorkloadEntry, "meltemi.io/inbound-port", None),
            (Kind::DestinationRule, "example.com/balancing", None),
            (Kind::DestinationRule, "balancing", None),
        ] {
            let annotations = [(name.to_owned(), "LEARNED".to_owned())].into();
            let metadata = ObjectMeta { annotations, ..ObjectMeta::default() };
            let mut report = Report::default();
            check(kind, &metadata, &mut report);
            let told = report.into_problems();
            match expected {
                None => assert!(told.is_empty(), "{name}: {told:?}"),
                Some(part) => assert!(
                    told.len() == 1
                        && told[0].message.contains(part)
                        && told[0].severity == Severity::Warning,
                    "{name}: {told:?}"
                ),
            }
        }
    }
}
