//! The forms of texts and the bounds of numbers that schemas name.

use meltemi_names::{Host, is_dns_label, is_dns_subdomain};
use serde_json::Value;

use crate::values::{
    is_base64, is_cidr, is_header_name, parse_duration, parse_gateway_duration, regex_problem,
};

/// What is wrong with a number by the schema's bounds.
pub(super) fn number_problem(schema: &Value, value: &Value) -> Option<String> {
    let number = value.as_f64()?;
    if ["port", "port-or-name"].contains(&schema["format"].as_str().unwrap_or_default()) {
        return (!(1.0..=65535.0).contains(&number))
            .then(|| format!("{value} is not a port (1 to 65535)"));
    }
    let (least, most) = (bound(schema, "minimum"), bound(schema, "maximum"));
    let is_low = least.is_some_and(|least| number < least);
    let is_high = most.is_some_and(|most| number > most);
    let is_told = |name: &str| schema[name].is_number();
    match (least, most) {
        _ if !is_low && !is_high => None,
        (Some(least), Some(most)) if is_told("minimum") && is_told("maximum") => {
            Some(format!("{value} must lie between {least} and {most}"))
        }
        (Some(least), _) if is_low => Some(format!("{value} must not be less than {least}")),
        (_, most) => Some(format!("{value} must not be more than {}", most.unwrap_or_default())),
    }
}

/// A bound by the schema, or by its format's size.
fn bound(schema: &Value, name: &str) -> Option<f64> {
    let by_size = match (schema["format"].as_str(), name) {
        (Some("int32"), "minimum") => Some(f64::from(i32::MIN)),
        (Some("int32"), "maximum") => Some(f64::from(i32::MAX)),
        (Some("uint32"), "maximum") => Some(f64::from(u32::MAX)),
        (Some("uint16"), "maximum") => Some(f64::from(u16::MAX)),
        _ => None,
    };
    schema[name].as_f64().or(by_size)
}

/// What is wrong with a text by the schema's format.
pub(super) fn text_problem(schema: &Value, text: &str) -> Option<String> {
    match schema["format"].as_str().unwrap_or_default() {
        "duration" => parse_duration(text).err(),
        "gateway-duration" => parse_gateway_duration(text).err(),
        "host" => host_problem(text),
        "cidr" => (!is_cidr(text)).then(|| {
            format!("`{text}` is not an IP address or a block of them, as in `10.0.0.0/8`")
        }),
        "header" => (!is_header_name(text)).then(|| format!("`{text}` is not the name of a header")),
        "dns-label" => (!is_dns_label(text)).then(|| {
            format!("`{text}` is not a DNS label: at most 63 lower-case letters, digits and `-`, no `-` at either end")
        }),
        "dns-name" => (!is_dns_subdomain(text)).then(|| {
            format!("`{text}` is not a DNS name: at most 253 lower-case letters, digits, `-` and `.`")
        }),
        "port-or-name" => port_name_problem(text),
        "base64" => (!is_base64(text)).then(|| "is not base64; plain text goes into `stringData`".to_owned()),
        "filled" => text.is_empty().then(|| "empty; it must say something".to_owned()),
        "regex" => regex_problem(text),
        _ => None,
    }
}

fn host_problem(text: &str) -> Option<String> {
    text.parse::<Host>().err().map(|error| error.to_string())
}

/// Kubernetes' names of ports (IANA service names).
fn port_name_problem(text: &str) -> Option<String> {
    let fits = is_dns_label(text)
        && text.len() <= 15
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
        && !text.contains("--");
    (!fits).then(|| {
        let hint = if text.parse::<u32>().is_ok() { "; a number stands without quotes" } else { "" };
        format!("`{text}` is not a port's name: at most 15 lower-case letters, digits and `-`, with a letter in it{hint}")
    })
}
