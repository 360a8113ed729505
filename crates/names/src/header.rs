//! Names of header fields that mean something to every proxy.

/// Headers that say where a message goes and where it ends (RFC 9110, section 7; RFC 9112, section 6).
const FRAMING: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a header, by its name in any case, says where a message goes or where it ends, as do the names of HTTP/2 that
/// stand for the request line. Nothing but the message itself may say that: no rule writes one of them.
pub fn is_framing_header(name: &str) -> bool {
    name.starts_with(':') || FRAMING.iter().any(|it| name.eq_ignore_ascii_case(it))
}

/// Whether a text is a header's name: a token (RFC 9110, section 5.6.2).
pub fn is_header_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

/// Whether a text can be the value of a cookie's attribute (RFC 6265, section 4.1.1, `av-octet`): of ASCII, without control
/// characters and `;`.
pub fn is_cookie_text(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b';')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        for (name, is_name, is_framing) in [
            ("x-user", true, false),
            ("Content-Length", true, true),
            ("HOST", true, true),
            (":path", false, true),
            ("x user", false, false),
            ("x\r\ny", false, false),
            ("", false, false),
            ("content-lengthy", true, false),
        ] {
            assert_eq!(
                (is_header_name(name), is_framing_header(name)),
                (is_name, is_framing),
                "{name}"
            );
        }
    }
}
