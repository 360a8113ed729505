//! Who may do what with our workload: the policies of each service that it stands for, compiled.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use meltemi_policy::authz::Policies;
use meltemi_policy::authz::provider::Authorizer;
use meltemi_policy::authz::rule::AuthorizationPolicy;

/// The policies of our workload. Two are equal that were made of the same words.
#[derive(Debug, Clone, Default)]
pub struct Authorization {
    digest: u64,
    /// Those for every service; `None` where there are none.
    general: Option<Arc<Policies>>,
    /// Those for services that policies are attached to, the general ones among them.
    by_host: Vec<(Arc<str>, Arc<Policies>)>,
    /// Whom CUSTOM policies may have asked.
    authorizers: Vec<Arc<Authorizer>>,
}

impl PartialEq for Authorization {
    fn eq(&self, other: &Authorization) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Authorization {}

impl Authorization {
    /// Reads the policies of a `Workload` message that stands for these hosts. One that cannot be read must never let
    /// anything pass: then everything is refused.
    pub(super) fn read<'h>(
        bodies: &[Vec<u8>],
        providers: &[Vec<u8>],
        hosts: impl Iterator<Item = &'h Arc<str>>,
    ) -> Authorization {
        if bodies.is_empty() {
            return Authorization::default();
        }
        let hosts: Vec<&Arc<str>> = hosts.collect();
        let mut hasher = DefaultHasher::new();
        (bodies, providers, &hosts).hash(&mut hasher);
        let digest = hasher.finish();
        let read = parse(bodies).and_then(|policies| compile(&policies, &hosts));
        let (general, by_host) = read.unwrap_or_else(|reason| {
            tracing::error!(
                reason,
                "an authorization policy cannot be read; every request is refused until it can: control plane and proxy may be of versions that do not fit"
            );
            (Some(Arc::new(Policies::closed(&reason))), Vec::new())
        });
        let authorizers = providers.iter().filter_map(|it| authorizer(it)).collect();
        Authorization { digest, general, by_host, authorizers }
    }

    /// The policies for what arrives for a host; `None` where there are none.
    pub fn of(&self, host: &str) -> Option<&Policies> {
        let attached = self.by_host.iter().find(|(own, _)| **own == *host);
        attached.map(|(_, policies)| policies).or(self.general.as_ref()).map(|it| &**it)
    }
}

impl Authorization {
    /// Whom the CUSTOM policies among these have asked; `None` where nobody can be.
    pub fn authorizer(&self, policies: &Policies) -> Option<&Authorizer> {
        let name = policies.authorizer()?;
        self.authorizers.iter().find(|it| it.said.name == name).map(|it| &**it)
    }
}

/// Reads an authorizer. What is to be asked of one that cannot be read is refused.
fn authorizer(body: &[u8]) -> Option<Arc<Authorizer>> {
    match serde_json::from_slice(body) {
        Ok(said) => Some(Arc::new(Authorizer::new(said))),
        Err(error) => {
            tracing::error!(%error, "an entry of extensionProviders cannot be read, and what its authorizer is to be asked about is refused: control plane and proxy may be of versions that do not fit");
            None
        }
    }
}

type Compiled = (Option<Arc<Policies>>, Vec<(Arc<str>, Arc<Policies>)>);

fn parse(bodies: &[Vec<u8>]) -> Result<Vec<AuthorizationPolicy>, String> {
    let read = |(index, body): (usize, &Vec<u8>)| {
        serde_json::from_slice(body).map_err(|error| format!("policy number {index}: {error}"))
    };
    bodies.iter().enumerate().map(read).collect()
}

fn compile(policies: &[AuthorizationPolicy], hosts: &[&Arc<str>]) -> Result<Compiled, String> {
    let of = |is_meant: &dyn Fn(&AuthorizationPolicy) -> bool| {
        let meant: Vec<_> = policies.iter().filter(|it| is_meant(it)).collect();
        let compiled = Policies::compile(meant).map_err(|error| error.to_string())?;
        Ok::<_, String>((!compiled.is_empty()).then(|| Arc::new(compiled)))
    };
    let general = of(&|it| it.services.is_empty())?;
    let mut by_host: Vec<(Arc<str>, Arc<Policies>)> = Vec::new();
    for host in hosts {
        let is_attached = |it: &AuthorizationPolicy| it.services.iter().any(|own| **own == ***host);
        if by_host.iter().any(|(known, _)| known == *host) || !policies.iter().any(is_attached) {
            continue;
        }
        if let Some(compiled) = of(&|it| it.services.is_empty() || is_attached(it))? {
            by_host.push(((*host).clone(), compiled));
        }
    }
    Ok((general, by_host))
}

#[cfg(test)]
mod tests {
    use meltemi_policy::authz::{Connection, Denial, NoRequest};

    use super::*;

    fn denial(authorization: &Authorization, host: &str) -> Option<Denial> {
        let connection = Connection::default();
        let policies = authorization.of(host)?;
        let settled = policies.settle(&connection);
        policies.judge(&settled, &connection, None::<&NoRequest>).denial
    }

    fn read(bodies: &[&str]) -> Authorization {
        let bodies: Vec<Vec<u8>> = bodies.iter().map(|it| it.as_bytes().to_vec()).collect();
        let hosts: [Arc<str>; 2] = ["a".into(), "b".into()];
        Authorization::read(&bodies, &[], hosts.iter())
    }

    #[test]
    fn a_policy_that_is_attached_to_a_service_counts_for_it_alone() {
        let read = read(&[
            r#"{"name":"p","namespace":"n","action":"DENY","services":["a"],"rules":[{}]}"#,
        ]);
        assert!(matches!(denial(&read, "a"), Some(Denial::Rule(_))));
        assert_eq!(denial(&read, "b"), None);
        assert!(read.of("b").is_none());
    }

    #[test]
    fn what_cannot_be_read_refuses_everything() {
        let whole = r#"{"name":"p","namespace":"n","rules":[{}]}"#;
        assert_eq!(denial(&read(&[whole]), "a"), None);
        for wrong in [
            r#"{"name":"p","namespace":"n","action":"QUARANTINE","rules":[{}]}"#,
            r#"{"name":"p","namespace":"n","rules":[{"from":[{"moons":["x"]}]}]}"#,
            r#"{"name":"p","namespace":"n","rules":[{"to":[{"ports":["http"]}]}]}"#,
        ] {
            assert_eq!(denial(&read(&[whole, wrong]), "a"), Some(Denial::Unreadable), "{wrong}");
        }
    }

    #[test]
    fn an_authorizer_is_found_by_its_name_if_it_can_be_read() {
        let policy =
            r#"{"name":"p","namespace":"n","action":"CUSTOM","provider":"o","rules":[{}]}"#;
        let good = r#"{"name":"o","service":"b.c","port":80,"timeoutMs":1,"statusOnError":403,"protocol":"grpc"}"#;
        let hosts: [Arc<str>; 1] = ["a".into()];
        let mut digests = Vec::new();
        for (provider, is_found) in [
            (good.to_owned(), true),
            (good.replace("\"o\"", "\"other\""), false),
            (good.replace("port", "door"), false),
            ("{".to_owned(), false),
        ] {
            let providers = [provider.clone().into_bytes()];
            let read = Authorization::read(&[policy.as_bytes().to_vec()], &providers, hosts.iter());
            let policies = read.of("a").unwrap();
            assert_eq!(read.authorizer(policies).is_some(), is_found, "{provider}");
            assert!(matches!(denial(&read, "a"), Some(Denial::Custom(_))), "{provider}");
            assert!(!digests.contains(&read.digest), "{provider}");
            digests.push(read.digest);
        }
    }

    #[test]
    fn the_same_words_are_the_same_policies() {
        let [a, b] = [r#"{"name":"p","namespace":"n"}"#, r#"{"name":"q","namespace":"n"}"#];
        assert_eq!(read(&[a]), read(&[a]));
        assert_ne!(read(&[a]), read(&[b]));
        assert_eq!(read(&[]), Authorization::default());
    }
}
