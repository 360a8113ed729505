//! Texts, numbers and truth values, and values of a wrong type.

use serde_json::Value;

use super::format;
use crate::refuse::{Path, Report, nearest};

/// Checks a value that is no object and no list.
pub(super) fn check(schema: &Value, value: &Value, at: &Path, report: &mut Report) -> bool {
    let kind = schema["type"].as_str().unwrap_or_default();
    match (kind, value) {
        ("string", Value::String(text)) => string(schema, text, at, report),
        ("integer", Value::Number(number)) if number.is_i64() || number.is_u64() => {
            bounded(schema, value, at, report)
        }
        ("number", Value::Number(_)) => bounded(schema, value, at, report),
        ("boolean", Value::Bool(_)) => true,
        _ => {
            wrong_type(kind, value, at, report);
            false
        }
    }
}

/// A port's number or name, or any other number or text.
pub(super) fn int_or_string(schema: &Value, value: &Value, at: &Path, report: &mut Report) -> bool {
    let problem = match value {
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            format::number_problem(schema, value)
        }
        Value::String(text) => format::text_problem(schema, text),
        _ => {
            wrong_type("number or text", value, at, report);
            return false;
        }
    };
    told(problem, at, report)
}

/// Reports a value of a wrong type.
pub(super) fn wrong_type(wanted: &str, value: &Value, at: &Path, report: &mut Report) {
    let wanted = match wanted {
        "object" => "an object",
        "array" => "a list",
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        other => other,
    };
    let found = match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(it) => {
            format!("the truth value `{it}` (`yes`, `no`, `on` and `off` are such too)")
        }
        Value::Number(it) => format!("the number {it}"),
        Value::String(it) => format!("the text \"{}\"", shortened(it)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    let problem = report.error(at.clone(), format!("must be {wanted}, not {found}"));
    match value {
        Value::Bool(_) | Value::Number(_) if wanted == "text" => {
            problem.suggest("put it in quotes");
        }
        Value::String(text)
            if wanted.ends_with("number") && text.parse::<f64>().is_ok()
                || wanted.contains("true") && ["true", "false"].contains(&text.as_str()) =>
        {
            problem.suggest(format!("write it without quotes: {text}"));
        }
        Value::Object(_) if wanted == "a list" => {
            problem.suggest("start each item with `- `");
        }
        _ => {}
    }
}

fn string(schema: &Value, text: &str, at: &Path, report: &mut Report) -> bool {
    if let Some(allowed) = schema["enum"].as_array() {
        let allowed: Vec<_> = allowed.iter().filter_map(Value::as_str).collect();
        if allowed.contains(&text) {
            return true;
        }
        let all: Vec<_> = allowed.iter().map(|it| format!("`{it}`")).collect();
        let message = format!("`{}` is none of {}", shortened(text), all.join(", "));
        let problem = report.error(at.clone(), message);
        if let Some(near) = nearest(text, allowed) {
            problem.suggest(format!("did you mean `{near}`?"));
        }
        return false;
    }
    let length = text.chars().count() as u64;
    if schema["minLength"].as_u64().is_some_and(|least| length < least) {
        report.error(at.clone(), "empty; it must say something");
        return false;
    }
    if schema["maxLength"].as_u64().is_some_and(|most| length > most) {
        let message = format!("{length} characters; at most {} fit", schema["maxLength"]);
        report.error(at.clone(), message);
        return false;
    }
    told(format::text_problem(schema, text), at, report)
}

fn bounded(schema: &Value, value: &Value, at: &Path, report: &mut Report) -> bool {
    told(format::number_problem(schema, value), at, report)
}

fn told(problem: Option<String>, at: &Path, report: &mut Report) -> bool {
    let holds = problem.is_none();
    if let Some(problem) = problem {
        report.error(at.clone(), problem);
    }
    holds
}

/// The beginning of a long text.
fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
