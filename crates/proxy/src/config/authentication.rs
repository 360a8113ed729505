//! Whose tokens our workload takes: the rules of its `RequestAuthentication`s, compiled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use meltemi_policy::jwt::Authentication;
use meltemi_policy::jwt::rule::RequestAuthentication;

/// The next configuration's id.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// The rules of our workload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authentications {
    /// Those for every service; `None` where there are none.
    general: Option<Arc<Authentication>>,
    /// Those for services that rules are attached to, the general ones among them.
    by_host: Vec<(Arc<str>, Arc<Authentication>)>,
}

impl Authentications {
    /// Reads the rules of a `Workload` message that stands for these hosts. One that cannot be read must never let a token
    /// pass: then every request is refused.
    pub(super) fn read<'h>(
        bodies: &[Vec<u8>],
        hosts: impl Iterator<Item = &'h Arc<str>>,
    ) -> Authentications {
        let sources: Result<Vec<RequestAuthentication>, serde_json::Error> =
            bodies.iter().map(|body| serde_json::from_slice(body)).collect();
        match sources {
            Ok(sources) => Authentications::of_sources(&sources, hosts),
            Err(reason) => {
                tracing::error!(
                    %reason,
                    "a rule for tokens cannot be read; every request is refused until it can: control plane and proxy may be of versions that do not fit"
                );
                let closed = Authentication::closed(next_id(), &reason.to_string());
                Authentications { general: Some(Arc::new(closed)), by_host: Vec::new() }
            }
        }
    }

    fn of_sources<'h>(
        sources: &[RequestAuthentication],
        hosts: impl Iterator<Item = &'h Arc<str>>,
    ) -> Authentications {
        let of = |is_meant: &dyn Fn(&RequestAuthentication) -> bool| {
            let meant: Vec<_> = sources.iter().filter(|it| is_meant(it)).cloned().collect();
            (!meant.is_empty()).then(|| Arc::new(Authentication::compile(next_id(), meant)))
        };
        let general = of(&|it| it.services.is_empty());
        let mut by_host: Vec<(Arc<str>, Arc<Authentication>)> = Vec::new();
        for host in hosts {
            let is_attached =
                |it: &RequestAuthentication| it.services.iter().any(|own| **own == **host);
            if by_host.iter().any(|(known, _)| known == host) || !sources.iter().any(is_attached) {
                continue;
            }
            let compiled = of(&|it| it.services.is_empty() || is_attached(it));
            by_host.extend(compiled.map(|it| (host.clone(), it)));
        }
        Authentications { general, by_host }
    }

    /// The rules for what arrives for a host; `None` where no token is looked at.
    pub fn of(&self, host: &str) -> Option<&Authentication> {
        let attached = self.by_host.iter().find(|(own, _)| **own == *host);
        attached.map(|(_, rules)| rules).or(self.general.as_ref()).map(|it| &**it)
    }

    /// Those for every service, and then those for single ones with their hosts.
    pub fn all(&self) -> impl Iterator<Item = (Option<&str>, &Authentication)> {
        let general = self.general.iter().map(|it| (None, &**it));
        general.chain(self.by_host.iter().map(|(host, it)| (Some(&**host), &**it)))
    }
}

fn next_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bodies: &[&[u8]]) -> Authentications {
        let bodies: Vec<Vec<u8>> = bodies.iter().map(|it| it.to_vec()).collect();
        let hosts: [Arc<str>; 2] = ["a".into(), "b".into()];
        Authentications::read(&bodies, hosts.iter())
    }

    #[test]
    fn rules_that_cannot_be_read_close_what_they_are_for() {
        let good = br#"{"name":"a","namespace":"b","jwtRules":[{"issuer":"i"}]}"#;
        assert_eq!(read(&[]), Authentications::default());
        let read_good = read(&[good]);
        let of = read_good.of("a").unwrap();
        assert_eq!((of.closed_because(), of.sources().len()), (None, 1));
        // The same words are the same rules, so that tokens stay verified.
        assert_eq!(read(&[good]), read_good);
        for bad in [&b"{"[..], br#"{"name":"a","namespace":"b","another":1}"#, b""] {
            let read = read(&[good, bad]);
            assert!(["a", "b"].iter().all(|it| read.of(it).unwrap().closed_because().is_some()));
        }
    }

    #[test]
    fn rules_that_are_attached_to_a_service_count_for_it_beside_those_for_all() {
        let all = br#"{"name":"all","namespace":"n","jwtRules":[{"issuer":"i"}]}"#;
        let own = br#"{"name":"own","namespace":"n","services":["a"],"jwtRules":[{"issuer":"j"}]}"#;
        let issuers = |read: &Authentications, host: &str| {
            let of = read.of(host).map(|it| it.issuers().map(|(it, _)| it.to_owned()).collect());
            let of: Option<Vec<String>> = of;
            of.unwrap_or_default()
        };
        let both = read(&[all, own]);
        assert_eq!(issuers(&both, "a"), ["i", "j"]);
        assert_eq!(issuers(&both, "b"), ["i"]);
        let one = read(&[own]);
        assert_eq!(issuers(&one, "a"), ["j"]);
        assert!(one.of("b").is_none());
    }
}
