//! Decisions by tables taken from Istio's pages.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::*;
use rule::AuthorizationPolicy;

mod custom;
mod forwarded;
mod index;
mod many;
mod naive;
mod orders;
mod polarity;
mod tables;
mod tcp;

/// A request to be judged.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) peer: Option<(String, String)>,
    pub(super) source: IpAddr,
    pub(super) port: u16,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) host: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) token: Option<Claims>,
}

/// A token's claims.
#[derive(Debug, Clone)]
pub(super) struct Claims(pub(super) Value);

impl Default for Call {
    fn default() -> Self {
        Call {
            peer: Some(("default".into(), "sleep".into())),
            source: IpAddr::from([10, 1, 2, 3]),
            port: 8080,
            method: "GET".into(),
            path: "/".into(),
            host: "web.default".into(),
            headers: Vec::new(),
            token: None,
        }
    }
}

impl Call {
    pub(super) fn judge(&self, policies: &[AuthorizationPolicy], is_http: bool) -> Judgement {
        let compiled = Policies::compile(policies).unwrap();
        let peer = self.peer.as_ref().map(|(namespace, account)| {
            let domain = "cluster.local".parse().unwrap();
            Peer::of(&meltemi_names::SpiffeId::new(domain, namespace, account).unwrap())
        });
        let connection = Connection {
            peer: peer.as_ref(),
            source_ip: Some(self.source),
            remote_ip: Some(self.source),
            destination_ip: Some(IpAddr::from([10, 9, 9, 9])),
            destination_port: self.port,
            sni: Some("outbound_.80_._.web.default"),
        };
        let settled = compiled.settle(&connection);
        match is_http {
            true => compiled.judge(&settled, &connection, Some(self)),
            false => compiled.judge(&settled, &connection, None::<&NoRequest>),
        }
    }

    /// Whether a request passes; `explain` must say the same.
    pub(super) fn passes(&self, policies: &[AuthorizationPolicy]) -> bool {
        self.judge(policies, true).denial.is_none()
    }

    /// Whether a connection of bytes passes.
    pub(super) fn passes_as_bytes(&self, policies: &[AuthorizationPolicy]) -> bool {
        self.judge(policies, false).denial.is_none()
    }
}

impl Request for Call {
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
        let pseudo = (name == ":method").then(|| self.method());
        let own = self.headers.iter().filter(move |(own, _)| own.eq_ignore_ascii_case(name));
        pseudo.into_iter().chain(own.map(|(_, value)| value.as_bytes()))
    }

    fn each_header_name(&self, show: &mut dyn FnMut(&[u8])) -> bool {
        self.headers.iter().for_each(|(name, _)| show(name.as_bytes()));
        true
    }

    fn token(&self) -> Option<&dyn Token> {
        self.token.as_ref().map(|it| it as &dyn Token)
    }
}

impl Token for Claims {
    fn issuer(&self) -> &str {
        self.0["iss"].as_str().unwrap()
    }

    fn principal(&self) -> Option<&str> {
        self.0["principal"].as_str()
    }

    fn each_audience(&self, show: &mut dyn FnMut(&str)) {
        self.0["aud"].as_array().unwrap().iter().for_each(|it| show(it.as_str().unwrap()));
    }

    fn presenter(&self) -> Option<&str> {
        self.0["azp"].as_str()
    }

    fn each_claim(&self, path: &[Box<str>], show: &mut dyn FnMut(&str)) {
        let value = path.iter().fold(&self.0, |value, name| &value[&**name]);
        match value {
            Value::String(text) => show(text),
            Value::Array(list) => list.iter().filter_map(Value::as_str).for_each(show),
            _ => {}
        }
    }
}

/// A policy `default/p` of this action and these rules, as they travel.
pub(super) fn policy(action: &str, rules: Value) -> AuthorizationPolicy {
    let value = json!({"name": "p", "namespace": "default", "action": action, "rules": rules});
    serde_json::from_value(value).unwrap()
}
