//! One test of a rule: a fact against the values of one field.

use std::net::IpAddr;

use super::attribute::Attribute;
use super::input::{Connection, Request};
use super::matcher::{Pattern, Patterns};
use super::template::Template;
use crate::path::{Normalization, normalize};
use crate::route::{Subnet, host_of};

/// The values of one field against a fact.
#[derive(Debug, Clone)]
pub(super) struct Test {
    pub(super) place: Place,
    /// The field's name, as in `notPaths`.
    pub(super) field: &'static str,
    pub(super) attribute: Attribute,
    pub(super) values: Values,
    /// None of the values may match.
    pub(super) is_negated: bool,
    /// Whether a match leads towards a refusal: then what says the same in another way matches too, so that nothing gets
    /// round it.
    pub(super) is_generous: bool,
}

/// Where a test stands in its rule, and the how manieth there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    From(u16),
    To(u16),
    When(u16),
}

/// What a fact is compared with.
#[derive(Debug, Clone)]
pub(super) enum Values {
    Texts(Patterns),
    /// In lower case.
    Hosts(Patterns),
    Paths(Patterns, Box<[Template]>),
    /// Issuer and subject.
    Tokens(Box<[(Pattern, Pattern)]>),
    Blocks(Box<[Subnet]>),
    Ports(Box<[u16]>),
}

/// What is judged, with what is made of it once.
pub(super) struct View<'a, R> {
    pub(super) connection: &'a Connection<'a>,
    pub(super) request: Option<&'a R>,
    /// The path without query.
    pub(super) path: &'a [u8],
    /// The path without parameters of its parts (`;`), where it has some.
    pub(super) bare_path: Option<Vec<u8>>,
    /// The authority without the dot at the end of its name, where it has a port after it.
    undotted: Option<Vec<u8>>,
}

impl<'a, R: Request> View<'a, R> {
    pub(super) fn new(connection: &'a Connection<'a>, request: Option<&'a R>) -> Self {
        let path = request.map_or(&b""[..], |request| path_of(request.path()));
        let authority = request.map_or(&b""[..], |request| request.authority());
        let dot = authority.windows(2).position(|pair| pair == b".:");
        View {
            connection,
            request,
            path,
            bare_path: path.contains(&b';').then(|| without_parameters(path)),
            undotted: dot.map(|dot| [&authority[..dot], &authority[dot + 1..]].concat()),
        }
    }

    /// The ways to write the host that is asked: as it came, and without port and the dot at its end.
    pub(super) fn hosts(&self, authority: &'a [u8]) -> [&[u8]; 4] {
        let host = host_of(authority);
        let bare = host.strip_suffix(b".").unwrap_or(host);
        let ended = authority.strip_suffix(b".").unwrap_or(authority);
        [authority, bare, ended, self.undotted.as_deref().unwrap_or(bare)]
    }
}

/// The part before query and fragment.
fn path_of(target: &[u8]) -> &[u8] {
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#'));
    &target[..end.unwrap_or(target.len())]
}

/// Leaves out what follows a `;` in each part of a path (RFC 3986, section 3.3), as servlet containers do, and as they do brings
/// what is left into one form: `/x/..;/admin` is their `/admin`.
fn without_parameters(path: &[u8]) -> Vec<u8> {
    let mut is_parameter = false;
    let keep = |byte: &&u8| {
        match **byte {
            b';' => is_parameter = true,
            b'/' => is_parameter = false,
            _ => {}
        }
        !is_parameter
    };
    let bare: Vec<u8> = path.iter().filter(keep).copied().collect();
    // What has no such form (escapes of escapes) is judged as it is.
    normalize(&bare, Normalization::MergeSlashes).ok().flatten().unwrap_or(bare)
}

impl Test {
    /// Whether the fact can be known of what is judged.
    pub(super) fn is_available<R>(&self, view: &View<'_, R>) -> bool {
        self.attribute != Attribute::Unknown
            && (view.request.is_some() || !self.attribute.is_of_request())
    }

    /// Whether it holds of what is judged.
    pub(super) fn holds<R: Request>(&self, view: &View<'_, R>) -> bool {
        self.finds(view) != self.is_negated
    }

    /// Whether one of its values matches.
    pub(super) fn finds<R: Request>(&self, view: &View<'_, R>) -> bool {
        let Connection { peer, source_ip, remote_ip, destination_ip, destination_port, sni } =
            view.connection;
        let text = |text: Option<&str>| text.is_some_and(|it| self.is_text(it.as_bytes()));
        match &self.attribute {
            Attribute::Principal => text(peer.map(|peer| &*peer.principal)),
            Attribute::Namespace => text(peer.map(|peer| &*peer.namespace)),
            Attribute::ServiceAccount => text(peer.map(|peer| &*peer.account)),
            Attribute::SourceIp => self.is_in_block(*source_ip),
            Attribute::RemoteIp => self.is_in_block(*remote_ip),
            Attribute::DestinationIp => self.is_in_block(*destination_ip),
            Attribute::Port => {
                matches!(&self.values, Values::Ports(ports) if ports.contains(destination_port))
            }
            Attribute::Sni => text(*sni),
            Attribute::Unknown => false,
            of_request => {
                view.request.is_some_and(|request| self.finds_in(of_request, request, view))
            }
        }
    }

    fn finds_in<R: Request>(&self, attribute: &Attribute, request: &R, view: &View<'_, R>) -> bool {
        let token = request.token();
        let mut is_found = false;
        match attribute {
            Attribute::Method => self.is_text(request.method()),
            Attribute::Path => self.is_path(view),
            Attribute::Host => match (&self.values, self.is_generous) {
                (Values::Hosts(hosts), false) => hosts.matches_folded(request.authority()),
                (Values::Hosts(hosts), true) => {
                    view.hosts(request.authority()).iter().any(|host| hosts.matches_folded(host))
                }
                _ => false,
            },
            Attribute::Header(name) => self.is_header(name, request),
            Attribute::RequestPrincipal => token.is_some_and(|token| {
                let (issuer, principal) = (token.issuer(), token.principal());
                let subject = principal
                    .and_then(|it| it.strip_prefix(issuer))
                    .and_then(|it| it.strip_prefix('/'));
                matches!((&self.values, subject), (Values::Tokens(tokens), Some(subject))
                if tokens.iter().any(|(of_issuer, of_subject)| {
                    of_issuer.matches(issuer.as_bytes()) && of_subject.matches(subject.as_bytes())
                }))
            }),
            Attribute::Audience => {
                if let Some(token) = token {
                    token.each_audience(&mut |it| is_found |= self.is_text(it.as_bytes()));
                }
                is_found
            }
            Attribute::Presenter => token
                .and_then(|token| token.presenter())
                .is_some_and(|presenter| self.is_text(presenter.as_bytes())),
            Attribute::Claim(path) => {
                if let Some(token) = token {
                    token.each_claim(path, &mut |it| is_found |= self.is_text(it.as_bytes()));
                }
                is_found
            }
            _ => false,
        }
    }

    fn is_text(&self, text: &[u8]) -> bool {
        matches!(&self.values, Values::Texts(texts) if texts.matches(text))
    }

    fn is_in_block(&self, address: Option<IpAddr>) -> bool {
        matches!((&self.values, address), (Values::Blocks(blocks), Some(address))
            if blocks.iter().any(|block| block.contains(address)))
    }

    fn is_path<R>(&self, view: &View<'_, R>) -> bool {
        let Values::Paths(texts, templates) = &self.values else { return false };
        let is_one = |path: &[u8]| {
            texts.matches(path) || templates.iter().any(|it| it.matches(path, self.is_generous))
        };
        let bare = view.bare_path.as_deref().filter(|_| self.is_generous);
        is_one(view.path) || bare.is_some_and(is_one)
    }

    /// Envoy compares the values of several lines joined by commas; where a match refuses, each of them counts too.
    fn is_header<R: Request>(&self, name: &str, request: &R) -> bool {
        let mut values = request.headers(name);
        let Some(first) = values.next() else { return false };
        let Some(second) = values.next() else { return self.is_text(first) };
        let all: Vec<&[u8]> = [first, second].into_iter().chain(values).collect();
        (self.is_generous && all.iter().any(|value| self.is_text(value)))
            || self.is_text(&all.join(&b","[..]))
    }
}

/// The facts as a person reads them.
impl Test {
    /// What the fact is of what is judged.
    pub(super) fn found_text<R: Request>(&self, view: &View<'_, R>) -> String {
        let none = || "none".to_owned();
        let ip = |it: Option<IpAddr>| it.map_or_else(none, |it| it.to_string());
        let connection = view.connection;
        let peer = connection.peer;
        match &self.attribute {
            Attribute::Principal => peer.map_or_else(none, |it| it.principal.to_string()),
            Attribute::Namespace => peer.map_or_else(none, |it| it.namespace.to_string()),
            Attribute::ServiceAccount => peer.map_or_else(none, |it| it.account.to_string()),
            Attribute::SourceIp => ip(connection.source_ip),
            Attribute::RemoteIp => ip(connection.remote_ip),
            Attribute::DestinationIp => ip(connection.destination_ip),
            Attribute::Port => connection.destination_port.to_string(),
            Attribute::Sni => connection.sni.map_or_else(none, str::to_owned),
            Attribute::Unknown => "unknown here".into(),
            of_request => {
                view.request.and_then(|it| found_in(of_request, it, view)).unwrap_or_else(none)
            }
        }
    }
}

fn found_in<R: Request>(attribute: &Attribute, request: &R, view: &View<'_, R>) -> Option<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let token = request.token();
    let mut found = Vec::new();
    match attribute {
        Attribute::Method => found.push(text(request.method())),
        Attribute::Path => found.push(text(view.path)),
        Attribute::Host => found.push(text(request.authority())),
        Attribute::Header(name) => found.extend(request.headers(name).map(text)),
        Attribute::RequestPrincipal => found.extend(token?.principal().map(str::to_owned)),
        Attribute::Audience => token?.each_audience(&mut |it| found.push(it.to_owned())),
        Attribute::Presenter => found.extend(token?.presenter().map(str::to_owned)),
        Attribute::Claim(path) => token?.each_claim(path, &mut |it| found.push(it.to_owned())),
        _ => {}
    }
    (!found.is_empty()).then(|| found.join(","))
}
