//! The server's tables as rows: which columns are shown, and what is added to them.

use serde_json::Value;

use super::{Args, Format};
use crate::resource::Resource;
use crate::table::Table;

/// The rows of one kind.
#[derive(Debug)]
pub(super) struct Rows {
    /// Before each name where several kinds are shown.
    prefix: String,
    wide: bool,
    namespaces: bool,
    labels: bool,
    /// Known from the first answer that has a head.
    columns: Vec<Column>,
    table: Option<Table>,
}

#[derive(Debug)]
struct Column {
    /// Its place among the server's columns.
    at: usize,
    is_name: bool,
}

impl Rows {
    pub(super) fn new(args: &Args, resource: &Resource, mixed: bool) -> Self {
        Self {
            prefix: if mixed { format!("{}/", resource.label()) } else { String::new() },
            wide: args.output == Some(Format::Wide),
            namespaces: args.all_namespaces && resource.namespaced,
            labels: args.show_labels,
            columns: Vec::new(),
            table: None,
        }
    }

    /// Takes in a `Table` of the server.
    pub(super) fn take(&mut self, answer: &Value) {
        if let Some(definitions) =
            answer["columnDefinitions"].as_array().filter(|it| !it.is_empty())
            && self.table.is_none()
        {
            self.begin(definitions);
        }
        for row in answer["rows"].as_array().into_iter().flatten() {
            let cells = self.cells(row);
            if let Some(table) = &mut self.table {
                table.push(cells);
            }
        }
    }

    /// The rows that came since the last call as text, empty if there are none.
    pub(super) fn drain(&mut self, with_head: bool) -> String {
        match &mut self.table {
            Some(table) if !table.is_empty() => table.drain(with_head),
            _ => String::new(),
        }
    }

    fn begin(&mut self, definitions: &[Value]) {
        let mut head = Vec::new();
        if self.namespaces {
            head.push("Namespace");
        }
        for (at, definition) in definitions.iter().enumerate() {
            if self.wide || definition["priority"].as_i64().unwrap_or(0) == 0 {
                self.columns.push(Column { at, is_name: definition["format"] == "name" });
                head.push(definition["name"].as_str().unwrap_or_default());
            }
        }
        if self.labels {
            head.push("Labels");
        }
        self.table = Some(Table::new(head));
    }

    fn cells(&self, row: &Value) -> Vec<String> {
        let metadata = &row["object"]["metadata"];
        let mut cells = Vec::new();
        if self.namespaces {
            cells.push(metadata["namespace"].as_str().unwrap_or_default().to_owned());
        }
        for column in &self.columns {
            let cell = match &row["cells"][column.at] {
                Value::String(text) => text.clone(),
                Value::Null => "<none>".to_owned(),
                other => other.to_string(),
            };
            cells.push(if column.is_name { format!("{}{cell}", self.prefix) } else { cell });
        }
        if self.labels {
            cells.push(pairs(&metadata["labels"]));
        }
        cells
    }
}

/// `app=hello,version=v1`.
fn pairs(labels: &Value) -> String {
    let labels = labels.as_object().into_iter().flatten();
    let pairs: Vec<_> = labels
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(prefix: &str, wide: bool, namespaces: bool, labels: bool) -> Rows {
        Rows { prefix: prefix.to_owned(), wide, namespaces, labels, columns: vec![], table: None }
    }

    fn answer() -> Value {
        json!({
            "columnDefinitions": [
                {"name": "Name", "format": "name", "priority": 0},
                {"name": "Port(s)", "priority": 0},
                {"name": "Selector", "priority": 1},
            ],
            "rows": [
                {"cells": ["hello", 80, "app=hello"], "object": {"metadata": {"namespace": "shop", "labels": {"a": "b", "c": "d"}}}},
                {"cells": ["bye", null, ""], "object": {"metadata": {"namespace": "default"}}},
            ],
        })
    }

    #[test]
    fn columns_are_chosen_by_the_flags() {
        let cases = [
            (rows("", false, false, false), "NAME    PORT(S)\nhello   80\nbye     <none>\n"),
            (
                rows("service/", true, false, false),
                "NAME            PORT(S)   SELECTOR\nservice/hello   80        app=hello\nservice/bye     <none>\n",
            ),
            (
                rows("", false, true, true),
                "NAMESPACE   NAME    PORT(S)   LABELS\nshop        hello   80        a=b,c=d\ndefault     bye     <none>    <none>\n",
            ),
        ];
        for (mut rows, expected) in cases {
            rows.take(&answer());
            assert_eq!(rows.drain(true), expected);
            assert_eq!(rows.drain(true), "", "no head without rows");
        }
    }

    #[test]
    fn later_answers_need_no_head() {
        let mut rows = rows("", false, false, false);
        rows.take(&answer());
        rows.drain(true);
        rows.take(&json!({"columnDefinitions": null, "rows": [{"cells": ["x", 1, ""]}]}));
        assert_eq!(rows.drain(false), "x       1\n");
    }
}
