//! Trust domains other than our own: further names of our own (Istio's `trustDomainAliases`), and those of other meshes with
//! the roots of each (SPIFFE federation).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use meltemi_names::{SpiffeId, TrustDomain};

use crate::bundle::{BundleError, TrustBundle};
use crate::private_file::{self, FileError};

/// Whose certificates are believed though they are of another trust domain, and by which roots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Federation {
    /// Further names of our own trust domain.
    aliases: BTreeSet<TrustDomain>,
    /// The roots of other trust domains, or of an alias that has a CA of its own.
    bundles: BTreeMap<TrustDomain, Arc<TrustBundle>>,
}

impl Federation {
    /// Takes the further names of our own trust domain, and the roots of others. A certificate of one of these must lead to
    /// its roots, and to no other (SPIFFE Trust Domain and Bundle, section 3: bundles of trust domains are kept apart).
    pub fn new(
        aliases: impl IntoIterator<Item = TrustDomain>,
        bundles: impl IntoIterator<Item = (TrustDomain, TrustBundle)>,
    ) -> Self {
        let shared = bundles.into_iter().map(|(domain, bundle)| (domain, Arc::new(bundle)));
        Federation { aliases: aliases.into_iter().collect(), bundles: shared.collect() }
    }

    /// The further names of our own trust domain.
    pub fn aliases(&self) -> impl Iterator<Item = &TrustDomain> {
        self.aliases.iter()
    }

    /// The trust domains that have roots of their own.
    pub fn bundles(&self) -> impl Iterator<Item = (&TrustDomain, &TrustBundle)> {
        self.bundles.iter().map(|(domain, bundle)| (domain, &**bundle))
    }

    /// Whether a domain is our own by one of its names.
    pub(crate) fn is_own(&self, own: &TrustDomain, domain: &TrustDomain) -> bool {
        domain == own || self.aliases.contains(domain)
    }

    /// The roots of a trust domain: `ours` for our own and for an alias without roots of its own.
    pub(crate) fn roots<'a>(
        &'a self,
        own: &TrustDomain,
        ours: &'a Arc<TrustBundle>,
        domain: &TrustDomain,
    ) -> Option<&'a Arc<TrustBundle>> {
        if domain == own {
            return Some(ours);
        }
        let is_alias = || self.aliases.contains(domain).then_some(ours);
        self.bundles.get(domain).or_else(is_alias)
    }

    /// Whether `found` is the workload that `expected` names: the same id, or the same workload by another name of our trust
    /// domain.
    pub(crate) fn is_same(&self, own: &TrustDomain, expected: &SpiffeId, found: &SpiffeId) -> bool {
        let parts = |id: &SpiffeId| [id.namespace().to_owned(), id.service_account().to_owned()];
        expected == found
            || (self.is_own(own, expected.trust_domain())
                && self.is_own(own, found.trust_domain())
                && parts(expected) == parts(found))
    }

    /// Writes it as text, whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), FileError> {
        let aliases = self.aliases.iter().map(|alias| format!("alias {alias}\n"));
        let bundles = self
            .bundles
            .iter()
            .map(|(domain, bundle)| format!("domain {domain}\n{}", bundle.to_pem()));
        let text: String = aliases.chain(bundles).collect();
        private_file::write_public(path, text.as_bytes())
    }

    /// Reads what [`Federation::save`] has written; a file that is not there names nobody.
    ///
    /// # Errors
    /// When the file cannot be read, or is of another form.
    pub fn load(path: &Path) -> Result<Self, BundleError> {
        let text = match private_file::read(path) {
            Ok(text) => text,
            Err(error) if error.is_not_found() => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
        };
        let (mut aliases, mut bundles) = (Vec::new(), Vec::new());
        for line in text.lines() {
            let wrong = || {
                let source = io::Error::new(io::ErrorKind::InvalidData, format!("line {line:?}"));
                BundleError::File(FileError::Read { path: path.into(), source })
            };
            if let Some(alias) = line.strip_prefix("alias ") {
                aliases.push(alias.parse().map_err(|_| wrong())?);
            } else if let Some(domain) = line.strip_prefix("domain ") {
                bundles.push((domain.parse().map_err(|_| wrong())?, String::new()));
            } else {
                let (_, pem) = bundles.last_mut().ok_or_else(wrong)?;
                pem.push_str(line);
                pem.push('\n');
            }
        }
        let read =
            bundles.into_iter().map(|(domain, pem)| Ok((domain, TrustBundle::from_pem(&pem)?)));
        Ok(Self::new(aliases, read.collect::<Result<Vec<_>, BundleError>>()?))
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::ca::Authority;

    fn domain(name: &str) -> TrustDomain {
        name.parse().unwrap()
    }

    fn roots(name: &str) -> TrustBundle {
        let dir = tempfile::tempdir().unwrap();
        Authority::open_or_create(dir.path(), domain(name), SystemTime::now()).unwrap().bundle()
    }

    #[test]
    fn each_trust_domain_has_its_own_roots_and_an_alias_ours_unless_it_has_some() {
        let [ours, theirs, old] = ["a", "b", "old"].map(roots);
        let aliases = [domain("alias"), domain("old")];
        let bundles = [(domain("b"), theirs.clone()), (domain("old"), old.clone())];
        let federation = Federation::new(aliases, bundles);
        let (own, ours) = (domain("a"), Arc::new(ours));
        for (asked, expected) in [
            ("a", Some(&*ours)),
            ("alias", Some(&*ours)),
            ("b", Some(&theirs)),
            ("old", Some(&old)),
            ("c", None),
        ] {
            let found = federation.roots(&own, &ours, &domain(asked));
            assert_eq!(found.map(|it| &**it), expected, "{asked}");
        }
    }

    #[test]
    fn a_workload_is_the_same_by_each_name_of_our_own_domain_only() {
        let federation = Federation::new([domain("old")], [(domain("b"), roots("b"))]);
        let id = |text: &str| format!("spiffe://{text}").parse::<SpiffeId>().unwrap();
        for (expected, found, is_same) in [
            ("a/ns/x/sa/y", "a/ns/x/sa/y", true),
            ("a/ns/x/sa/y", "old/ns/x/sa/y", true),
            ("old/ns/x/sa/y", "a/ns/x/sa/y", true),
            ("a/ns/x/sa/y", "old/ns/x/sa/z", false),
            ("a/ns/x/sa/y", "old/ns/z/sa/y", false),
            ("a/ns/x/sa/y", "b/ns/x/sa/y", false),
            ("b/ns/x/sa/y", "a/ns/x/sa/y", false),
            ("b/ns/x/sa/y", "b/ns/x/sa/y", true),
        ] {
            let found = federation.is_same(&domain("a"), &id(expected), &id(found));
            assert_eq!(found, is_same, "{expected}");
        }
    }

    #[test]
    fn what_was_kept_is_the_same_and_another_form_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("federation");
        assert_eq!(Federation::load(&path).unwrap(), Federation::default());
        let both = roots("b").with(&roots("b")).unwrap();
        let bundles = [(domain("b"), both), (domain("c"), roots("c"))];
        let federation = Federation::new([domain("old")], bundles);
        federation.save(&path).unwrap();
        assert_eq!(Federation::load(&path).unwrap(), federation);
        for wrong in ["other a", "alias A", "domain b\n", "-----BEGIN CERTIFICATE-----"] {
            std::fs::write(&path, wrong).unwrap();
            assert!(Federation::load(&path).is_err(), "{wrong}");
        }
    }
}
