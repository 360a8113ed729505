//! Which service, or which endpoint of one, a name means, with whatever search domain behind it.

use hickory_proto::rr::Name;
use meltemi_names::Host;

use super::{Question, Zone};
use crate::names::{Answer, Names, Port, Transport};

/// A name that may be one of the mesh, taken apart.
#[derive(Debug)]
pub(super) struct Asked {
    /// Lower case, without the labels of the selector and without a trailing dot.
    pub(super) host: String,
    /// What of the host is meant.
    pub(super) selector: Selector,
}

/// The part of a service that the labels in front of its host choose.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Selector {
    /// No such labels.
    Service,
    /// `_tcp.HOST`: has no records, but exists where ports below it do. `None` where it is no transport.
    Transport(Option<Transport>),
    /// `_NAME._tcp.HOST`.
    Port(String, Option<Transport>),
}

/// What a name stands for.
#[derive(Debug)]
pub(super) struct Located {
    /// The service.
    pub(super) service: Answer,
    /// The host by which it was found: that which was asked for, without a search domain.
    pub(super) host: String,
    /// The label of the only endpoint that is meant.
    pub(super) endpoint: Option<String>,
}

impl Asked {
    /// Takes a name apart; `None` where it holds bytes that no host has, such as a dot within a label.
    pub(super) fn read(name: &Name) -> Option<Asked> {
        let mut labels = Vec::new();
        for label in name {
            let text = std::str::from_utf8(label).ok()?.to_ascii_lowercase();
            if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
                return None;
            }
            labels.push(text);
        }
        let selector = match &labels[..] {
            [port, transport, _, ..] if port.starts_with('_') && transport.starts_with('_') => {
                Selector::Port(port[1..].to_owned(), transport_of(transport))
            }
            [transport, _, ..] if transport_of(transport).is_some() => {
                Selector::Transport(transport_of(transport))
            }
            [] => return None,
            _ => Selector::Service,
        };
        let host = labels[selector.labels()..].join(".");
        Some(Asked { host, selector })
    }

    /// The name that was asked for, in its own case, without the search domain behind it.
    pub(super) fn without_suffix(&self, name: &Name, located: &Located) -> Name {
        let labels = self.selector.labels() + located.host.split('.').count();
        Name::from_labels(name.iter().take(labels)).unwrap_or_else(|_| name.clone())
    }
}

impl Selector {
    /// How many labels it takes.
    fn labels(&self) -> usize {
        match self {
            Selector::Service => 0,
            Selector::Transport(_) => 1,
            Selector::Port(..) => 2,
        }
    }

    /// The ports of a service that it chooses.
    pub(super) fn ports<'a>(&self, service: &'a Answer) -> Vec<&'a Port> {
        let is_chosen = |port: &&Port| match self {
            Selector::Service => true,
            Selector::Transport(transport) => Some(port.transport) == *transport,
            Selector::Port(name, transport) => {
                Some(port.transport) == *transport && port.name.eq_ignore_ascii_case(name)
            }
        };
        service.ports.iter().filter(is_chosen).collect()
    }
}

impl Located {
    /// Whether a search domain stood behind the name.
    pub(super) fn is_stripped(&self, asked: &Asked) -> bool {
        self.host.len() != asked.host.len()
    }
}

impl Zone {
    /// What a name means: as it stands; else without one of the mesh's own search domains
    /// (`NAMESPACE.svc.cluster.local svc.cluster.local cluster.local`); else without one of this machine's.
    pub(super) fn locate(&self, asked: &Asked, question: &Question<'_>) -> Option<Located> {
        let host = asked.host.as_str();
        let names = question.names;
        self.locate_exactly(host, names)
            .or_else(|| {
                // A single label is left to the search domain of its own namespace, which is its full name: what
                // `hello` means in namespace `shop` is not for the default namespace to say.
                self.without_mesh_search(host)
                    .filter(|rest| rest.contains('.'))
                    .find_map(|rest| self.locate_exactly(rest, names))
            })
            .or_else(|| {
                let rest = |domain: &String| host.strip_suffix(domain.as_str())?.strip_suffix('.');
                question
                    .search
                    .iter()
                    .filter_map(rest)
                    .find_map(|rest| self.locate_before_foreign_domain(rest, names))
            })
    }

    /// A short name in front of a domain of this machine may well be a host of that domain, which the mesh must not
    /// hide: `git.corp.example` is not the mesh's `git`.
    fn locate_before_foreign_domain(&self, rest: &str, names: &dyn Names) -> Option<Located> {
        let labels = rest.split('.').count();
        let located = self.locate_exactly(rest, names).filter(|_| labels >= 2)?;
        (located.service.external || labels >= 3).then_some(located)
    }

    fn locate_exactly(&self, host: &str, names: &dyn Names) -> Option<Located> {
        let found = names.find(host);
        let whole = |service| Located { service, host: host.to_owned(), endpoint: None };
        match found {
            Some(service) if !service.host.is_wildcard() => Some(whole(service)),
            found => locate_endpoint(host, names)
                .or_else(|| found.filter(|it| self.may_cover(&it.host, host)).map(whole)),
        }
    }

    /// A wildcard answers for what lies below the suffix only if it does itself; and `*` for nothing, or no question
    /// would ever be forwarded.
    fn may_cover(&self, wildcard: &Host, host: &str) -> bool {
        wildcard.as_str() != "*"
            && (self.below(host).is_none() || self.below(wildcard.as_str()).is_some())
    }

    fn without_mesh_search<'a>(&self, host: &'a str) -> impl Iterator<Item = &'a str> {
        let rest = self.below(host);
        let before_namespace = rest.and_then(|rest| rest.rsplit_once('.')).map(|(name, _)| name);
        let domain = self.suffix.strip_prefix("svc.").filter(|_| rest.is_none());
        let before_domain =
            domain.and_then(|domain| host.strip_suffix(domain)).and_then(|it| it.strip_suffix('.'));
        [before_namespace, rest, before_domain].into_iter().flatten()
    }
}

/// `WORKLOAD.HOST` is the address of one endpoint.
fn locate_endpoint(host: &str, names: &dyn Names) -> Option<Located> {
    let (label, parent) = host.split_once('.')?;
    let service = names.find(parent).filter(|service| service.host.covers(parent))?;
    let is_it = service.endpoints.iter().any(|it| it.ip().is_some() && it.label() == label);
    is_it.then(|| Located { service, host: host.to_owned(), endpoint: Some(label.to_owned()) })
}

fn transport_of(label: &str) -> Option<Transport> {
    match label {
        "_tcp" => Some(Transport::Tcp),
        "_udp" => Some(Transport::Udp),
        _ => None,
    }
}

/// The name of a host in a resource; `None` where it is none, or a wildcard.
pub(super) fn to_name(host: &str) -> Option<Name> {
    let host: Host = host.parse().ok().filter(|host: &Host| !host.is_wildcard())?;
    Name::from_labels(host.as_str().split('.').map(str::as_bytes)).ok()
}
