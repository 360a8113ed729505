//! What a plain word of YAML means, as `kubectl` reads it.

use serde_json::Number;

use super::tree::Content;

/// The meaning of a word without quotes and tag. `yes`, `no`, `on` and `off` are truth values as in `kubectl`.
pub(super) fn plain(word: &str) -> Result<Content, String> {
    Ok(match word {
        "" | "~" | "null" | "Null" | "NULL" => Content::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            Content::Bool(true)
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            Content::Bool(false)
        }
        ".inf" | ".Inf" | ".INF" | "+.inf" | "-.inf" | "-.Inf" | "-.INF" | ".nan" | ".NaN"
        | ".NAN" => return Err(format!("`{word}` is a number that JSON does not have")),
        _ => number(word).map_or_else(|| Content::Text(word.to_owned()), Content::Number),
    })
}

/// A number by YAML's core schema, with the octal of older YAML.
fn number(word: &str) -> Option<Number> {
    let (sign, digits): (i32, _) = match word.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, word.strip_prefix('+').unwrap_or(word)),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    let in_base = |digits: &str, base| {
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_plain.then(|| i64::from_str_radix(digits, base).ok()).flatten()?;
        Some(Number::from(i64::from(sign) * number))
    };
    if let Some(hex) = digits.strip_prefix("0x") {
        return in_base(hex, 16);
    }
    if let Some(octal) = digits.strip_prefix("0o") {
        return in_base(octal, 8);
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let is_octal = digits.len() > 1 && digits.starts_with('0');
        let octal = is_octal.then(|| in_base(digits, 8)).flatten();
        return octal.or_else(|| decimal(sign, digits));
    }
    // `1_000`, `1.2.3`, dates and names are text.
    let is_float = digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    is_float
        .then(|| digits.parse::<f64>().ok())
        .flatten()
        .and_then(|number| Number::from_f64(f64::from(sign) * number))
}

fn decimal(sign: i32, digits: &str) -> Option<Number> {
    if sign > 0 {
        let whole = digits.parse::<u64>().ok().map(Number::from);
        return whole.or_else(|| Number::from_f64(digits.parse().ok()?));
    }
    let whole = format!("-{digits}").parse::<i64>().ok().map(Number::from);
    whole.or_else(|| Number::from_f64(-digits.parse::<f64>().ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_mean_what_kubectl_takes_them_for() {
        for (word, expected) in [
            ("", json!(null)),
            ("Null", json!(null)),
            ("yes", json!(true)),
            ("OFF", json!(false)),
            ("y", json!("y")),
            ("0", json!(0)),
            ("-7", json!(-7)),
            ("+7", json!(7)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("017", json!(15)),
            ("089", json!(89)),
            ("18446744073709551615", json!(u64::MAX)),
            ("1.50", json!(1.5)),
            (".5", json!(0.5)),
            ("1e3", json!(1000.0)),
            ("1.2.3", json!("1.2.3")),
            ("1_000", json!("1_000")),
            ("2026-01-01", json!("2026-01-01")),
            ("0x", json!("0x")),
            ("0x-1", json!("0x-1")),
            ("-", json!("-")),
            ("infinity", json!("infinity")),
            ("1e999", json!("1e999")),
        ] {
            let content = match plain(word).unwrap() {
                Content::Null => json!(null),
                Content::Bool(it) => json!(it),
                Content::Number(it) => json!(it),
                Content::Text(it) => json!(it),
                other => panic!("{word}: {other:?}"),
            };
            assert_eq!(content, expected, "{word}");
        }
        assert!(plain(".inf").is_err() && plain(".nan").is_err());
    }
}
