//! The texts that a rule is looked for by: at least those that a [`Test`](super::super::test::Test) compares with its values.

use super::super::attribute::Attribute;
use super::super::input::{Connection, Request};
use super::super::test::View;
use super::demand::Bits;

/// What is known of a connection, and of a request if there is one.
pub(super) struct Facts<'v, R> {
    pub(super) view: &'v View<'v, R>,
    /// Whether what says the same in another way counts too, such as the path without its parameters.
    pub(super) generous: bool,
}

impl<R: Request> Facts<'_, R> {
    /// Shows the texts of an attribute; none where it has none.
    pub(super) fn each(&self, attribute: &Attribute, show: &mut dyn FnMut(&[u8])) {
        match self.view.request {
            _ if !attribute.is_of_request() => of_connection(attribute, self.view.connection, show),
            Some(request) => of_request(attribute, self.view, request, self.generous, show),
            None => {}
        }
    }

    /// Shows the names of all headers; `false` where they are not known.
    pub(super) fn each_header_name(&self, show: &mut dyn FnMut(&[u8])) -> bool {
        self.view.request.is_none_or(|request| request.each_header_name(show))
    }

    /// Shows the names of all claims; `false` where they are not known.
    pub(super) fn each_claim_name(&self, show: &mut dyn FnMut(&str)) -> bool {
        let token = self.view.request.and_then(|request| request.token());
        token.is_none_or(|token| token.each_claim_name(show))
    }
}

/// Shows the text of a connection's attribute, if it has one.
fn of_connection(attribute: &Attribute, connection: &Connection<'_>, show: &mut dyn FnMut(&[u8])) {
    let address = match attribute {
        Attribute::SourceIp => connection.source_ip,
        Attribute::RemoteIp => connection.remote_ip,
        Attribute::DestinationIp => connection.destination_ip,
        Attribute::Port => return show(&connection.destination_port.to_be_bytes()),
        attribute => {
            let peer = connection.peer;
            let text = match attribute {
                Attribute::Principal => peer.map(|peer| &*peer.principal),
                Attribute::Namespace => peer.map(|peer| &*peer.namespace),
                Attribute::ServiceAccount => peer.map(|peer| &*peer.account),
                Attribute::Sni => connection.sni,
                _ => None,
            };
            return text.into_iter().for_each(|text| show(text.as_bytes()));
        }
    };
    // Blocks of IPv4 addresses are for those that are written as IPv6 ones too.
    if let Some(address) = address {
        show(Bits::of(address.to_canonical()).all());
    }
}

/// Shows the texts of a request's attribute. `generous`: also those that say the same in another way.
fn of_request<R: Request>(
    attribute: &Attribute,
    view: &View<'_, R>,
    request: &R,
    generous: bool,
    show: &mut dyn FnMut(&[u8]),
) {
    let Some(token) = request.token() else {
        return without_token(attribute, view, request, generous, show);
    };
    match attribute {
        Attribute::RequestPrincipal => {
            token.principal().into_iter().for_each(|it| show(it.as_bytes()));
        }
        Attribute::Audience => token.each_audience(&mut |it| show(it.as_bytes())),
        Attribute::Presenter => {
            token.presenter().into_iter().for_each(|it| show(it.as_bytes()));
        }
        Attribute::Claim(path) => token.each_claim(path, &mut |it| show(it.as_bytes())),
        _ => without_token(attribute, view, request, generous, show),
    }
}

fn without_token<R: Request>(
    attribute: &Attribute,
    view: &View<'_, R>,
    request: &R,
    generous: bool,
    show: &mut dyn FnMut(&[u8]),
) {
    match attribute {
        Attribute::Path => {
            show(view.path);
            if let Some(bare) = view.bare_path.as_deref().filter(|_| generous) {
                show(bare);
            }
        }
        Attribute::Parts(first, count) => {
            let bare = view.bare_path.as_deref().filter(|_| generous);
            for path in [Some(view.path), bare].into_iter().flatten() {
                parts(path, *first, *count).into_iter().for_each(&mut *show);
            }
        }
        Attribute::Method => show(request.method()),
        Attribute::Host if generous => {
            let hosts = view.hosts(request.authority());
            for (at, host) in hosts.iter().enumerate() {
                if !hosts[..at].contains(host) {
                    show_folded(host, show);
                }
            }
        }
        Attribute::Host => show_folded(request.authority(), show),
        Attribute::Header(name) => {
            let mut values = request.headers(name);
            let Some(first) = values.next() else { return };
            let Some(second) = values.next() else { return show(first) };
            let all: Vec<&[u8]> = [first, second].into_iter().chain(values).collect();
            show(&all.join(&b","[..]));
            if generous {
                all.into_iter().for_each(show);
            }
        }
        _ => {}
    }
}

fn show_folded(text: &[u8], show: &mut dyn FnMut(&[u8])) {
    match text.iter().any(u8::is_ascii_uppercase) {
        true => show(&text.to_ascii_lowercase()),
        false => show(text),
    }
}

/// So many parts of a path from the one of this number on; `None` where it has not so many.
fn parts(path: &[u8], first: u16, count: u16) -> Option<&[u8]> {
    let end_of = |path: &[u8]| path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
    let mut rest = path;
    for _ in 0..first {
        rest = rest.get(end_of(rest) + 1..)?;
    }
    let mut length = end_of(rest);
    for _ in 1..count {
        length += 1 + end_of(rest.get(length + 1..)?);
    }
    rest.get(..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_from_the_slash_at_the_beginning() {
        let of = |path: &'static str, first, count| parts(path.as_bytes(), first, count);
        assert_eq!(of("/a/bc/d", 1, 1), Some(&b"a"[..]));
        assert_eq!(of("/a/bc/d", 2, 2), Some(&b"bc/d"[..]));
        assert_eq!(of("/a/bc/d", 3, 1), Some(&b"d"[..]));
        assert_eq!(of("/a/bc/d", 3, 2), None);
        assert_eq!(of("/a/bc/d", 4, 1), None);
        assert_eq!(of("/a/", 2, 1), Some(&b""[..]));
        assert_eq!(of("", 1, 1), None);
    }
}
