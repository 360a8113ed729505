//! JSON values as YAML for people, in the style of `kubectl get -o yaml`.

use serde_json::{Map, Value};

mod scalar;

/// How long a key may be to stand on the line of its value (YAML 1.2, 7.4.2: 1024), with room for quotes.
const KEY_LIMIT: usize = 1000;

/// The value as one YAML document, with a line break at its end. Reading it gives the same value.
pub fn write(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => write_map(map, 0, &mut out),
        Value::Array(items) if !items.is_empty() => write_list(items, 0, &mut out),
        plain => {
            write_plain(plain, 0, &mut out);
            out.push('\n');
        }
    }
    out
}

/// The lines of a map; the first one begins where the text stands.
fn write_map(map: &Map<String, Value>, indent: usize, out: &mut String) {
    for (at, (key, value)) in map.iter().enumerate() {
        if at > 0 {
            pad(indent, out);
        }
        if key.len() > KEY_LIMIT {
            out.push_str("? ");
            scalar::write_inline(key, out);
            out.push('\n');
            pad(indent, out);
        } else {
            scalar::write_inline(key, out);
        }
        out.push(':');
        match value {
            Value::Object(map) if !map.is_empty() => {
                out.push('\n');
                pad(indent + 2, out);
                write_map(map, indent + 2, out);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                pad(indent, out);
                write_list(items, indent, out);
            }
            plain => {
                out.push(' ');
                write_plain(plain, indent + 2, out);
                out.push('\n');
            }
        }
    }
}

/// The lines of a list; the first one begins where the text stands.
fn write_list(items: &[Value], indent: usize, out: &mut String) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            pad(indent, out);
        }
        out.push_str("- ");
        match item {
            Value::Object(map) if !map.is_empty() => write_map(map, indent + 2, out),
            Value::Array(items) if !items.is_empty() => write_list(items, indent + 2, out),
            plain => {
                write_plain(plain, indent + 2, out);
                out.push('\n');
            }
        }
    }
}

fn write_plain(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(_) => out.push_str("{}"),
        Value::Array(_) => out.push_str("[]"),
        Value::String(text) => scalar::write(text, indent, out),
        other => out.push_str(&other.to_string()),
    }
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

#[cfg(test)]
mod tests;
