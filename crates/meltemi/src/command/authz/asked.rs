//! What the command line says of a call.

use std::str::FromStr;

use meltemi_model::InboundPort;
use meltemi_names::{SpiffeId, TrustDomain};
use meltemi_policy::authz::{Peer, Request, Token};

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Nobody,
    Id(SpiffeId),
    /// Namespace, if it is said, and service account.
    Account(Option<String>, String),
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "-" {
            return Ok(Source::Nobody);
        }
        let as_id = |id: &str| id.parse().map(Source::Id).map_err(|error| format!("{error}"));
        if text.starts_with("spiffe:") {
            return as_id(text);
        }
        let parts: Vec<&str> = text.split('/').collect();
        match parts[..] {
            [account] => Ok(Source::Account(None, account.into())),
            [namespace, account] => Ok(Source::Account(Some(namespace.into()), account.into())),
            [_, "ns", _, "sa", _] => as_id(&format!("spiffe://{text}")),
            _ => Err("it is no service account ([NAMESPACE/]NAME), no SPIFFE id, and not -".into()),
        }
    }
}

impl Source {
    /// The peer that it is; `own` is the namespace where none is said.
    pub(super) fn peer(&self, own: &str, domain: &TrustDomain) -> Result<Option<Peer>, String> {
        match self {
            Source::Nobody => Ok(None),
            Source::Id(id) => Ok(Some(Peer::of(id))),
            Source::Account(namespace, account) => {
                let namespace = namespace.as_deref().unwrap_or(own);
                let id = SpiffeId::new(domain.clone(), namespace, account);
                id.map(|id| Some(Peer::of(&id))).map_err(|error| error.to_string())
            }
        }
    }
}

/// What is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// Namespace and name.
    Workload(String, String),
    /// A host, perhaps short, and a port.
    Service(String, Option<u16>),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((namespace, name)) = text.split_once('/') {
            return match name.contains('/') || namespace.is_empty() || name.is_empty() {
                true => Err("a workload is NAMESPACE/NAME".into()),
                false => Ok(Target::Workload(namespace.into(), name.into())),
            };
        }
        let Some((host, port)) = text.split_once(':') else {
            return Ok(Target::Service(text.to_ascii_lowercase(), None));
        };
        let port = port.parse().map_err(|_| format!("`{port}` is not a port"))?;
        Ok(Target::Service(host.to_ascii_lowercase(), Some(port)))
    }
}

impl Target {
    /// The port that it names.
    pub(super) fn port(&self) -> Option<u16> {
        match self {
            Target::Workload(..) => None,
            Target::Service(_, port) => *port,
        }
    }

    /// The host of a request to a service, as a client that was given these words sends it: port 80 goes unsaid
    /// (RFC 9110, 4.2.1). None for a workload, which no client names.
    pub(super) fn authority(&self, port: Option<u16>) -> Option<String> {
        let Target::Service(host, own) = self else { return None };
        Some(match port.or(*own) {
            None | Some(80) => host.clone(),
            Some(port) => format!("{host}:{port}"),
        })
    }

    /// Whether a port of a workload is of the service that is called; `own` is the namespace of a name alone.
    pub(super) fn is_for(&self, port: &InboundPort, own: &str) -> bool {
        let Target::Service(host, _) = self else { return true };
        let full = port.host.as_str();
        match host.contains('.') {
            true => {
                full == host
                    || full.strip_prefix(host.as_str()).is_some_and(|it| it.starts_with('.'))
            }
            false => *port.service_name == **host && *port.service_namespace == *own,
        }
    }
}

/// A request in words.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: String,
    /// After normalisation.
    pub(super) path: String,
    pub(super) host: String,
    pub(super) headers: Vec<(String, String)>,
    /// `ISSUER/SUBJECT` of the token.
    pub(super) principal: Option<String>,
    /// Claims by their path with dots.
    pub(super) claims: Vec<(String, String)>,
}

impl Asked {
    /// The same request to a host.
    pub(super) fn to(&self, host: &str) -> Asked {
        Asked { host: host.to_owned(), ..self.clone() }
    }

    fn each_claim(&self, name: &str, show: &mut dyn FnMut(&str)) {
        let claims = self.claims.iter().filter(|(own, _)| own == name);
        claims.for_each(|(_, value)| show(value));
    }
}

impl Request for Asked {
    fn method(&self) -> &[u8] {
        self.method.as_bytes()
    }

    fn path(&self) -> &[u8] {
        self.path.as_bytes()
    }

    fn authority(&self) -> &[u8] {
        self.host.as_bytes()
    }

    fn headers<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s [u8]> {
        let pseudo = match name {
            ":method" => Some(self.method()),
            ":path" => Some(self.path()),
            ":authority" => Some(self.authority()),
            name if name.eq_ignore_ascii_case("host") => Some(self.authority()),
            _ => None,
        };
        let own = self.headers.iter().filter(move |(own, _)| own.eq_ignore_ascii_case(name));
        pseudo.into_iter().chain(own.map(|(_, value)| value.as_bytes()))
    }

    fn token(&self) -> Option<&dyn Token> {
        self.principal.as_ref().map(|_| self as &dyn Token)
    }
}

impl Token for Asked {
    fn issuer(&self) -> &str {
        let principal = self.principal.as_deref().unwrap_or_default();
        principal.rsplit_once('/').map_or(principal, |(issuer, _)| issuer)
    }

    fn principal(&self) -> Option<&str> {
        self.principal.as_deref()
    }

    fn each_audience(&self, show: &mut dyn FnMut(&str)) {
        self.each_claim("aud", show);
    }

    fn presenter(&self) -> Option<&str> {
        self.claims.iter().find(|(name, _)| name == "azp").map(|(_, value)| value.as_str())
    }

    fn each_claim(&self, path: &[Box<str>], show: &mut dyn FnMut(&str)) {
        let name: Vec<&str> = path.iter().map(|it| &**it).collect();
        Asked::each_claim(self, &name.join("."), show);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_in_all_their_forms() {
        let account = |namespace: Option<&str>, name: &str| {
            Ok(Source::Account(namespace.map(str::to_owned), name.to_owned()))
        };
        assert_eq!("-".parse(), Ok(Source::Nobody));
        assert_eq!("web".parse(), account(None, "web"));
        assert_eq!("shop/web".parse(), account(Some("shop"), "web"));
        for id in ["spiffe://a.b/ns/shop/sa/web", "a.b/ns/shop/sa/web"] {
            let Ok(Source::Id(id)) = id.parse() else { panic!("{id}") };
            assert_eq!(id.to_string(), "spiffe://a.b/ns/shop/sa/web");
        }
        for wrong in ["a/b/c", "a/ns/b", "spiffe://a/b/c/d/e", "spiffe://a/b", "spiffe://a"] {
            assert!(wrong.parse::<Source>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn targets_are_services_with_a_port_or_workloads() {
        let service = |host: &str, port| Ok(Target::Service(host.to_owned(), port));
        assert_eq!("Web.shop:80".parse(), service("web.shop", Some(80)));
        assert_eq!("web".parse(), service("web", None));
        assert_eq!("shop/web-1".parse(), Ok(Target::Workload("shop".into(), "web-1".into())));
        for wrong in ["web:x", "a/b/c", "/b", "a/"] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_request_is_to_the_host_as_it_was_written() {
        for (target, port, expected) in [
            ("web", None, Some("web")),
            ("Web.shop:80", None, Some("web.shop")),
            ("web:9080", None, Some("web:9080")),
            ("web", Some(9080), Some("web:9080")),
            ("shop/web-1", Some(9080), None),
        ] {
            let target: Target = target.parse().unwrap();
            assert_eq!(target.authority(port).as_deref(), expected, "{target:?}");
        }
    }
}
