//! Texts with a form of their own, and what is wrong with those that do not have it.

use std::net::IpAddr;
use std::time::Duration;

pub use meltemi_names::is_header_name;
use meltemi_policy::route::{PatternError, check_pattern};

/// The longest span that protobuf's `Duration` holds, in seconds.
const LONGEST: f64 = 315_576_000_000.0;

/// Reads `1.5s`, and as Istio does also Go's `1h2m3.5s`, `250ms`, `10us`, `0`.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration: write it as `1.5s`, `200ms` or `1h30m`");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        seconds += number * unit(&rest[..end]).ok_or_else(wrong)?;
        rest = &rest[end..];
    }
    if seconds > LONGEST {
        return Err(format!("`{text}` is longer than a duration can be"));
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

/// Seconds in a unit of Go's durations.
fn unit(word: &str) -> Option<f64> {
    Some(match word {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

/// Reads a duration of the Gateway API (GEP-2257): up to four whole numbers of at most five digits with `h`, `m`, `s` or
/// `ms`.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_gateway_duration(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text).ok().filter(|_| is_gateway_duration(text));
    duration.ok_or_else(|| {
        format!("`{text}` is not a duration: whole numbers with `h`, `m`, `s` or `ms`, as in `1m30s` or `500ms`")
    })
}

/// Whether the text has the form of the Gateway API's durations.
pub fn is_gateway_duration(text: &str) -> bool {
    let mut parts = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_lowercase).count();
        if !(1..=5).contains(&digits)
            || !["h", "m", "s", "ms"].contains(&&rest[digits..digits + letters])
        {
            return false;
        }
        rest = &rest[digits + letters..];
        parts += 1;
    }
    (1..=4).contains(&parts)
}

/// Whether the text is an IP address, or a block of them as in `10.0.0.0/8`.
pub fn is_cidr(text: &str) -> bool {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return false;
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    length.is_none_or(|length| {
        !length.starts_with('+') && length.parse::<u8>().is_ok_and(|length| length <= most)
    })
}

/// Whether the text is base64 with padding (RFC 4648), perhaps in several lines.
pub fn is_base64(text: &str) -> bool {
    let text: Vec<u8> = text.bytes().filter(|byte| !b"\r\n".contains(byte)).collect();
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let letters = &text[..text.len() - padding];
    text.len().is_multiple_of(4)
        && padding <= 2
        && letters.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte))
}

/// What is wrong with a regular expression of RE2's kind: it is compiled as sidecars do, so that none is let through that they
/// would refuse.
pub fn regex_problem(text: &str) -> Option<String> {
    Some(match check_pattern(text).err()? {
        PatternError::Syntax { pattern, reason } => {
            format!("`{pattern}` is not a regular expression: {reason}")
        }
        error => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let millis = |text: &str| parse_duration(text).ok().map(|it| it.as_millis());
        for (text, expected) in [
            ("1.5s", Some(1500)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("1h2m3.5s", Some(3_723_500)),
            ("250ms", Some(250)),
            (".5s", Some(500)),
            ("3000us", Some(3)),
            ("", None),
            ("1", None),
            ("s", None),
            ("1.s.", None),
            ("-1s", None),
            ("1d", None),
            ("1 s", None),
            ("999999999999999999999h", None),
        ] {
            assert_eq!(millis(text), expected, "{text}");
        }
        for (text, expected) in [
            ("1m30s", true),
            ("500ms", true),
            ("1.5s", false),
            ("100000s", false),
            ("", false),
            ("1h1h1h1h1h", false),
            ("é", false),
        ] {
            assert_eq!(is_gateway_duration(text), expected, "{text}");
            assert_eq!(parse_gateway_duration(text).is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn blocks_of_addresses_headers_and_base64() {
        for (text, expected) in [
            ("10.0.0.0/8", true),
            ("10.0.0.1", true),
            ("::/0", true),
            ("2001:db8::/129", false),
            ("10.0.0.0/33", false),
            ("10.0.0.0/+8", false),
            ("10.0.0.0/", false),
            ("10.0.0/8", false),
            ("a", false),
        ] {
            assert_eq!(is_cidr(text), expected, "{text}");
        }
        for (text, expected) in
            [("x-a", true), ("", false), ("a b", false), ("a:", false), ("é", false)]
        {
            assert_eq!(is_header_name(text), expected, "{text}");
        }
        for (text, expected) in [
            ("", true),
            ("Zg==", true),
            ("Zm9v\nZm9v\n", true),
            ("Zg=", false),
            ("Z===", false),
            ("=Zg=", false),
            ("é", false),
        ] {
            assert_eq!(is_base64(text), expected, "{text}");
        }
        assert!(regex_problem("^a(b|c)+$").is_none());
        assert!(
            regex_problem("a{2,1}").unwrap().starts_with("`a{2,1}` is not a regular expression")
        );
    }
}
