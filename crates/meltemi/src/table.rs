//! Rows for people, in columns as wide as what stands in them.

/// Between two columns.
const GAP: &str = "   ";

/// A table with a head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    widths: Vec<usize>,
}

impl Table {
    /// A table with these columns, whose names are shown in capitals.
    pub fn new(head: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let head: Vec<String> = head.into_iter().map(|name| name.as_ref().to_uppercase()).collect();
        let widths = head.iter().map(|name| width(name)).collect();
        Self { head, rows: Vec::new(), widths }
    }

    /// Adds a row; missing cells are empty.
    pub fn push(&mut self, row: impl IntoIterator<Item = impl Into<String>>) {
        let row: Vec<String> = row.into_iter().map(Into::into).take(self.head.len()).collect();
        for (widest, cell) in self.widths.iter_mut().zip(&row) {
            *widest = (*widest).max(width(cell));
        }
        self.rows.push(row);
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The text, with the head or without; rows are forgotten, widths are kept for the rows to come.
    pub fn drain(&mut self, with_head: bool) -> String {
        let mut text = String::new();
        if with_head {
            write_row(&mut text, &self.head, &self.widths);
        }
        for row in self.rows.drain(..) {
            write_row(&mut text, &row, &self.widths);
        }
        text
    }
}

fn width(cell: &str) -> usize {
    cell.chars().count()
}

fn write_row(text: &mut String, row: &[String], widths: &[usize]) {
    let start = text.len();
    for (cell, widest) in row.iter().zip(widths) {
        let fill = widest.saturating_sub(width(cell));
        // Line breaks and control signs of an object's fields must not break the table, or drive a terminal.
        text.extend(cell.chars().map(|sign| if sign.is_control() { ' ' } else { sign }));
        text.extend(std::iter::repeat_n(' ', fill));
        text.push_str(GAP);
    }
    let end = text[start..].trim_end().len();
    text.truncate(start + end);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(["Name", "Port(s)", "Age"]);
        assert!(table.is_empty());
        table.push(["hello", "80/TCP", "3s"]);
        table.push(["a-much-longer-name", "", "1h"]);
        table.push(["é\n\u{1b}[31m"]);
        let expected = "\
NAME                 PORT(S)   AGE
hello                80/TCP    3s
a-much-longer-name             1h
é  [31m
";
        assert_eq!(table.drain(true), expected);
        table.push(["b", "1/TCP", "2d"]);
        assert_eq!(table.drain(false), "b                    1/TCP     2d\n");
        assert_eq!(table.drain(false), "");
    }
}
