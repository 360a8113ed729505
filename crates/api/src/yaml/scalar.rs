//! Texts in YAML: without quotes where no reader can mistake them, as lines of a block, or in double quotes.

use std::fmt::Write;

use crate::parse::is_plain_text;

/// Writes a text; `indent` is that of its lines, if it has several.
pub(super) fn write(text: &str, indent: usize, out: &mut String) {
    if text.contains('\n') && fits_block(text) {
        write_block(text, indent, out);
    } else {
        write_inline(text, out);
    }
}

/// Writes a text on the line.
pub(super) fn write_inline(text: &str, out: &mut String) {
    if is_safe(text) { out.push_str(text) } else { write_quoted(text, out) }
}

/// Whether the text means itself without quotes, to readers of YAML 1.1 and 1.2.
fn is_safe(text: &str) -> bool {
    let Some(first) = text.chars().next() else {
        return false;
    };
    let indicators = "-?:,[]{}#&*!|>'\"%@`=<~";
    !indicators.contains(first)
        && !text.ends_with([':', ' '])
        && !text.contains(": ")
        && !text.contains(" #")
        && first != ' '
        && text.chars().all(is_printable)
        && !["y", "Y", "n", "N", "..."].contains(&text)
        && !is_like_number(text)
        && is_plain_text(text)
}

/// Numbers, times and dates of any YAML, and what only looks so.
fn is_like_number(text: &str) -> bool {
    text.starts_with(|it: char| it.is_ascii_digit() || "+.".contains(it))
        && text.chars().all(|it| it.is_ascii_hexdigit() || "xXoO_.:+-TtZz ".contains(it))
}

/// Characters that stand in YAML as they are, on one line.
fn is_printable(it: char) -> bool {
    matches!(it, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
        && !matches!(it, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// Whether the text can stand as the lines of a block.
fn fits_block(text: &str) -> bool {
    !text.starts_with([' ', '\n', '\t'])
        && text.chars().all(|it| it == '\n' || is_printable(it))
        && text.lines().all(|line| !line.ends_with(' '))
}

fn write_block(text: &str, indent: usize, out: &mut String) {
    let kept = text.len() - text.trim_end_matches('\n').len();
    out.push_str(match kept {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', indent));
            out.push_str(line);
        }
    }
}

fn write_quoted(text: &str, out: &mut String) {
    out.push('"');
    for it in text.chars() {
        match it {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            it if is_printable(it) => out.push(it),
            // Writing to a string does not fail.
            it if u32::from(it) > 0xffff => drop(write!(out, "\\U{:08X}", u32::from(it))),
            it => drop(write!(out, "\\u{:04X}", u32::from(it))),
        }
    }
    out.push('"');
}
