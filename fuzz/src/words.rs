//! What requests say in headers, cookies and parameters that rules look at.

use std::borrow::Cow;
use std::net::IpAddr;

use meltemi_policy::authz::{Request, Token, trusted_client};
use meltemi_policy::jwt::{without_cookies, without_parameters};

/// Where a token stands in parameters or cookies: what is left without it holds none, and is else as it was.
pub fn token_places(bytes: &[u8]) {
    let [choice, bytes @ ..] = bytes else { return };
    let names: [Box<[u8]>; 2] = [b"token"[..].into(), b"a b"[..].into()];
    let is_query = choice % 2 == 0;
    let without = |text: &[u8]| match is_query {
        true => without_parameters(text, &names),
        false => without_cookies(text, &names),
    };
    let Some(rest) = without(bytes) else { return };
    assert_eq!(without(&rest), None, "{:?}", String::from_utf8_lossy(&rest));
    let separator = if is_query { b'&' } else { b';' };
    let parts = |text: &[u8]| text.split(|byte| *byte == separator).count();
    assert!(parts(&rest) <= parts(bytes));
    if is_query {
        let path = |text: &[u8]| text.split(|byte| *byte == b'?').next().map(<[u8]>::to_vec);
        assert_eq!(path(&rest), path(bytes), "the path stays");
    }
}

/// The lines of a header.
struct Lines<'b>(&'b [u8]);

impl Request for Lines<'_> {
    fn method(&self) -> &[u8] {
        b"GET"
    }

    fn path(&self) -> &[u8] {
        b"/"
    }

    fn authority(&self) -> &[u8] {
        b"web"
    }

    fn headers<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s [u8]> {
        assert_eq!(name, "x-forwarded-for");
        self.0.split(|byte| *byte == b'\n')
    }

    fn token(&self) -> Option<&dyn Token> {
        None
    }
}

/// `x-forwarded-for`: whatever stands left of the entry that is believed changes nothing.
pub fn forwarded_for(bytes: &[u8]) {
    let [proxies, bytes @ ..] = bytes else { return };
    let proxies = u32::from(*proxies % 8);
    let found = trusted_client(&Lines(bytes), proxies);
    if proxies == 0 {
        assert_eq!(found, None, "nobody is trusted");
    }
    let Some(found) = found else { return };
    assert_eq!(found, found.to_canonical());
    let forged: Cow<'_, [u8]> = [b"10.9.8.7, 1.2.3.4,", bytes].concat().into();
    assert_eq!(trusted_client(&Lines(&forged), proxies), Some(found));
    let last: IpAddr = "10.9.8.7".parse().expect("an address");
    let more = [bytes, b", 10.9.8.7"].concat();
    assert_eq!(trusted_client(&Lines(&more), 1), Some(last));
}
