//! Redirects in their compiled form: where a request is sent (Envoy, `RouteEntryImplBase::newUri`).

use std::io::Write;

use super::error::{Flaw, Problem, check_target};
use super::paths::PathKind;
use super::request::{Request, host_of};
use super::rewrite::PathRewriter;
use super::rule::{Redirect, RedirectPort};

/// Where requests are sent.
#[derive(Debug)]
pub(super) struct Redirector {
    path: Option<PathRewriter>,
    authority: Option<Box<str>>,
    port: Option<RedirectPort>,
    scheme: Option<Box<str>>,
    pub(super) code: u16,
}

impl Redirector {
    pub(super) fn compile(rule: &Redirect) -> Result<Redirector, Flaw> {
        if !(300..400).contains(&rule.code) {
            return Err(Flaw::new("redirectCode", Problem::Status(rule.code)));
        }
        let text = |field: &str, text: &Option<String>| match text {
            Some(text) => check_target(field, text).map(|()| Some(text.as_str().into())),
            None => Ok(None),
        };
        Ok(Redirector {
            path: rule.uri.as_ref().map(PathRewriter::compile).transpose()?,
            authority: text("authority", &rule.authority)?,
            port: rule.port,
            scheme: text("scheme", &rule.scheme)?,
            code: rule.code,
        })
    }

    /// Puts the URL there after what `out` has.
    pub(super) fn locate(&self, request: &dyn Request, kind: PathKind, out: &mut Vec<u8>) {
        let scheme = self.scheme.as_deref().map_or(request.scheme(), str::as_bytes);
        out.extend_from_slice(scheme);
        out.extend_from_slice(b"://");
        self.put_authority(request, scheme, out);
        match &self.path {
            Some(path) => path.redirect(request.path(), kind, out),
            None => out.extend_from_slice(request.path()),
        }
    }

    fn put_authority(&self, request: &dyn Request, scheme: &[u8], out: &mut Vec<u8>) {
        let port = match self.port {
            Some(RedirectPort::Number(port)) => Some(port),
            Some(RedirectPort::FromRequestPort) => Some(request.port()),
            Some(RedirectPort::FromProtocolDefault) | None => None,
        };
        let asked = request.authority();
        let host = match &self.authority {
            Some(authority) => authority.as_bytes(),
            None if self.port.is_some() || is_default_elsewhere(request, scheme) => host_of(asked),
            None => asked,
        };
        out.extend_from_slice(host);
        if let Some(port) = port.filter(|port| default_port(scheme) != Some(*port)) {
            // Writing to a vector cannot fail.
            let _ = write!(out, ":{port}");
        }
    }
}

/// Whether the request names the default port of its own scheme, and goes to another scheme.
fn is_default_elsewhere(request: &dyn Request, scheme: &[u8]) -> bool {
    let (own, asked) = (request.scheme(), request.authority());
    let port = &asked[host_of(asked).len()..];
    own != scheme
        && match default_port(own) {
            Some(80) => port == b":80",
            Some(443) => port == b":443",
            _ => false,
        }
}

fn default_port(scheme: &[u8]) -> Option<u16> {
    match scheme {
        b"http" => Some(80),
        b"https" => Some(443),
        _ => None,
    }
}
