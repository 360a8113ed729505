//! Who has a host: of several that claim it each namespace sees one, and the registry as a whole goes by the first.

use std::collections::BTreeSet;

use crate::export::ExportTo;
use crate::record::Object;
use crate::service::Preference;

/// One that claims a host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) created: &'a str,
    pub(super) object: &'a Object,
    pub(super) export_to: &'a ExportTo,
}

/// Those of several claims that some namespace sees, in the order of precedence: core services before service entries,
/// older before younger. The first is the registry's own, whoever sees it; one of which everybody who sees it sees a
/// better one too has no effect.
pub(super) fn seen<'a>(claims: impl IntoIterator<Item = Claim<'a>>) -> Vec<&'a Object> {
    let mut claims: Vec<Claim<'_>> = claims.into_iter().collect();
    claims.sort_by_key(|it| (it.object.kind, it.created, it.object));
    let is_seen = |at: usize| {
        let (before, claim) = (&claims[..at], &claims[at]);
        let is_better_for = |namespace: &str| {
            let own = Preference::of(claim.object, claim.export_to, namespace);
            before.iter().any(|other| {
                other.export_to.covers(namespace)
                    && Preference::of(other.object, other.export_to, namespace) <= own
            })
        };
        match claim.export_to {
            ExportTo::All => !before.iter().any(|other| *other.export_to == ExportTo::All),
            ExportTo::Namespaces(namespaces) => namespaces.iter().any(|it| !is_better_for(it)),
        }
    };
    (0..claims.len()).filter(|at| *at == 0 || is_seen(*at)).map(|at| claims[at].object).collect()
}

/// The claims of one host by age, as they are kept.
pub(super) type Claims = BTreeSet<(String, Object)>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::ObjectKind;

    #[test]
    fn claims_are_kept_that_somebody_sees() {
        let entry = |namespace: &str| Object::new(ObjectKind::ServiceEntry, namespace, "e");
        let core = Object::new(ObjectKind::Service, "core", "e");
        for (claims, expected) in [
            (vec![], vec![]),
            (vec![("2020", entry("a"), "~")], vec!["a"]),
            (vec![("2021", entry("a"), "*"), ("2020", entry("b"), "*")], vec!["b"]),
            (vec![("2020", entry("a"), "."), ("2020", entry("b"), ".")], vec!["a", "b"]),
            // One's own goes before the mesh's, however young it is; what is the mesh's stays everybody else's.
            (vec![("2020", entry("a"), "*"), ("2021", entry("b"), ".")], vec!["a", "b"]),
            (vec![("2020", entry("a"), "."), ("2021", entry("b"), "*")], vec!["a", "b"]),
            (vec![("2020", entry("a"), "b"), ("2021", entry("b"), ".")], vec!["a", "b"]),
            (vec![("2020", entry("a"), "c"), ("2021", entry("b"), "c")], vec!["a"]),
            // A core service goes before all, where it is seen.
            (vec![("2020", entry("a"), "."), ("2021", core.clone(), "*")], vec!["core"]),
            (vec![("2020", entry("a"), "."), ("2021", core.clone(), ".")], vec!["core", "a"]),
        ] {
            let exports: Vec<_> =
                claims.iter().map(|(_, it, to)| ExportTo::new([*to], &it.namespace)).collect();
            let all = claims.iter().zip(&exports).map(|((created, object, _), export_to)| Claim {
                created,
                object,
                export_to,
            });
            let seen: Vec<_> = seen(all).into_iter().map(|it| it.namespace.to_string()).collect();
            assert_eq!(seen, expected, "{claims:?}");
        }
    }
}
