//! What authorization asks of a connection and a request, whoever holds them.

use std::net::IpAddr;

use meltemi_names::SpiffeId;

/// Who is at the other end, proved by certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// `TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE_ACCOUNT`.
    pub(super) principal: Box<str>,
    pub(super) namespace: Box<str>,
    /// `NAMESPACE/SERVICE_ACCOUNT`.
    pub(super) account: Box<str>,
}

impl Peer {
    /// The peer of this identity.
    pub fn of(id: &SpiffeId) -> Peer {
        let (namespace, account) = (id.namespace(), id.service_account());
        Peer {
            principal: format!("{}/ns/{namespace}/sa/{account}", id.trust_domain()).into(),
            namespace: namespace.into(),
            account: format!("{namespace}/{account}").into(),
        }
    }

    /// `TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE_ACCOUNT`.
    pub fn principal(&self) -> &str {
        &self.principal
    }
}

/// What holds for all of a connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Connection<'a> {
    /// Who calls; `None` where nobody has proved it.
    pub peer: Option<&'a Peer>,
    /// The address of the other end.
    pub source_ip: Option<IpAddr>,
    /// The address of the first caller; that of the other end where no trusted proxy says another one.
    pub remote_ip: Option<IpAddr>,
    /// The address that was called.
    pub destination_ip: Option<IpAddr>,
    /// The workload's port.
    pub destination_port: u16,
    /// The server name of TLS.
    pub sni: Option<&'a str>,
}

/// A request as authorization sees it.
pub trait Request {
    /// The method.
    fn method(&self) -> &[u8];
    /// The path with its query, as it stands in the request after normalisation.
    fn path(&self) -> &[u8];
    /// The host that is asked, with the port if the request has one (`:authority`, `host`).
    fn authority(&self) -> &[u8];
    /// The values of a header, by its name in any case.
    fn headers<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s [u8]>;
    /// Shows the names of all headers, those that are looked for by [`Request::headers`] apart from pseudo-headers and `host`; one
    /// that has several values may be shown as often. `false` where they cannot be told: then each is asked for.
    fn each_header_name(&self, _show: &mut dyn FnMut(&[u8])) -> bool {
        false
    }
    /// The token that was verified (RFC 7519); `None` where there is none.
    fn token(&self) -> Option<&dyn Token>;
}

/// A token that was verified, as `RequestAuthentication` has it done.
pub trait Token {
    /// Its `iss`.
    fn issuer(&self) -> &str;
    /// Its `iss` and `sub`, with `/` between them; `None` without a subject.
    fn principal(&self) -> Option<&str>;
    /// Shows each text of its `aud`.
    fn each_audience(&self, show: &mut dyn FnMut(&str));
    /// Its `azp`.
    fn presenter(&self) -> Option<&str>;
    /// Shows each text of a claim; the path leads into objects.
    fn each_claim(&self, path: &[Box<str>], show: &mut dyn FnMut(&str));
    /// Shows the names of all claims that have a text; of one within objects all names on the way, with `][` between them as in
    /// the key of a condition. `false` where they cannot be told: then each is asked for.
    fn each_claim_name(&self, _show: &mut dyn FnMut(&str)) -> bool {
        false
    }
}

/// The request of a connection of bytes: there is none.
#[derive(Debug, Clone, Copy)]
pub enum NoRequest {}

impl Request for NoRequest {
    fn method(&self) -> &[u8] {
        match *self {}
    }

    fn path(&self) -> &[u8] {
        match *self {}
    }

    fn authority(&self) -> &[u8] {
        match *self {}
    }

    fn headers<'s>(&'s self, _: &'s str) -> impl Iterator<Item = &'s [u8]> {
        std::iter::empty()
    }

    fn token(&self) -> Option<&dyn Token> {
        match *self {}
    }
}
