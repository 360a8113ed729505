//! Which namespaces see a resource: Istio's `exportTo`.

use std::collections::BTreeSet;
use std::sync::Arc;

/// Everything.
const ALL: &str = "*";
/// The resource's own namespace.
const OWN: &str = ".";
/// No namespace.
const NONE: &str = "~";

/// The namespaces that see a resource.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ExportTo {
    /// Every namespace.
    #[default]
    All,
    /// These alone; none where it is empty.
    Namespaces(Arc<BTreeSet<Arc<str>>>),
}

impl ExportTo {
    /// What the entries of `exportTo` say in a resource of the namespace `own`; an empty list says everything.
    pub fn new<'a>(entries: impl IntoIterator<Item = &'a str>, own: &str) -> Self {
        let mut namespaces = BTreeSet::new();
        let mut is_said = false;
        for entry in entries {
            is_said = true;
            match entry.trim() {
                ALL => return ExportTo::All,
                NONE | "" => {}
                OWN => drop(namespaces.insert(own.into())),
                namespace => drop(namespaces.insert(namespace.into())),
            }
        }
        match is_said {
            true => ExportTo::Namespaces(Arc::new(namespaces)),
            false => ExportTo::All,
        }
    }

    /// Whether callers of a namespace see it.
    pub fn covers(&self, namespace: &str) -> bool {
        match self {
            ExportTo::All => true,
            ExportTo::Namespaces(namespaces) => namespaces.contains(namespace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_read_as_istio_reads_them() {
        for (entries, own, other, third) in [
            (&[][..], true, true, true),
            (&["*"], true, true, true),
            (&["."], true, false, false),
            (&["~"], false, false, false),
            (&["other"], false, true, false),
            (&[".", "other"], true, true, false),
            (&["other", "*"], true, true, true),
            (&[""], false, false, false),
        ] {
            let export = ExportTo::new(entries.iter().copied(), "own");
            let seen = ["own", "other", "third"].map(|namespace| export.covers(namespace));
            assert_eq!(seen, [own, other, third], "{entries:?}");
        }
    }
}
