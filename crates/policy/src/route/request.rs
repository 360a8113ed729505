//! What routing asks of a request, whoever holds it.

use std::borrow::Cow;

/// A request as routing sees it.
pub trait Request {
    /// The method.
    fn method(&self) -> &[u8];
    /// The path with its query, as it stands in the request after normalisation.
    fn path(&self) -> &[u8];
    /// The host that is asked, with the port if the request has one (`:authority`, `host`).
    fn authority(&self) -> &[u8];
    /// `http` or `https`.
    fn scheme(&self) -> &[u8];
    /// The port of the host that is called.
    fn port(&self) -> u16;
    /// A header by its lower-case name; values of several lines joined by commas, as Envoy does. A name that
    /// starts with `@` stands for a fact that is no header (`@request.auth.claims.NAME`).
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>>;
}

/// The host of an authority: without port, and without the brackets' port of an IPv6 literal.
pub fn host_of(authority: &[u8]) -> &[u8] {
    let after_brackets = match authority.iter().rposition(|byte| *byte == b']') {
        Some(bracket) => bracket + 1,
        None => 0,
    };
    match authority[after_brackets..].iter().position(|byte| *byte == b':') {
        Some(colon) => &authority[..after_brackets + colon],
        None => authority,
    }
}

/// A path's part before query and fragment, and the rest.
pub(super) fn split_path(path: &[u8]) -> (&[u8], &[u8]) {
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(path.len());
    path.split_at(end)
}

/// The first value of a query's parameter, as it stands there; that of one without `=` is empty.
pub fn find_parameter<'r>(path: &'r [u8], name: &[u8]) -> Option<&'r [u8]> {
    let (_, rest) = split_path(path);
    let query = rest.strip_prefix(b"?")?;
    let query = query.split(|byte| *byte == b'#').next()?;
    query.split(|byte| *byte == b'&').find_map(|pair| {
        let rest = pair.strip_prefix(name)?;
        match rest.split_first() {
            None => Some(rest),
            Some((b'=', value)) => Some(value),
            Some(_) => None,
        }
    })
}
