//! Rows in the text format of COPY, gathered by table.

use std::collections::HashMap;
use std::io::Write;

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use serde_json::Value;
use uuid::Uuid;

/// The rows of one table that wait to be written.
#[derive(Debug)]
pub struct Sheet {
    /// The table, of the schema raw_ops.
    pub table: &'static str,
    /// Its columns, in the order of the fields.
    pub columns: &'static [&'static str],
    /// The rows.
    pub text: Vec<u8>,
    /// How many there are.
    pub rows: u64,
}

/// The rows of all tables that wait to be written.
#[derive(Debug, Default)]
pub struct Sheets {
    waiting: Vec<Sheet>,
    places: HashMap<&'static str, usize>,
    bytes: usize,
}

/// Adds a row to a table: the names of its columns beside the values.
macro_rules! row {
    ($sheets:expr, $table:literal, { $($column:ident: $value:expr),* $(,)? }) => {{
        const COLUMNS: &[&str] = &[$(stringify!($column)),*];
        // The values come first: they may look at what owns the sheets.
        match ($(&$value,)*) {
            ($($column,)*) => {
                let mut line = $sheets.line($table, COLUMNS);
                $(line.field($column);)*
                line.end();
            }
        }
    }};
}
pub(super) use row;

impl Sheets {
    /// A new row of a table; every row of a table has the same columns.
    pub fn line(&mut self, table: &'static str, columns: &'static [&'static str]) -> Line<'_> {
        let place = *self.places.entry(table).or_insert_with(|| {
            self.waiting.push(Sheet { table, columns, text: Vec::new(), rows: 0 });
            self.waiting.len() - 1
        });
        let sheet = &mut self.waiting[place];
        assert_eq!(sheet.columns, columns, "two kinds of rows of {table}");
        Line { before: sheet.text.len(), sheet, bytes: &mut self.bytes }
    }

    /// Bytes that wait.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What waits; nothing waits afterwards.
    pub fn take(&mut self) -> Vec<Sheet> {
        self.bytes = 0;
        self.places.clear();
        std::mem::take(&mut self.waiting)
    }
}

/// A row that is being written.
pub struct Line<'a> {
    sheet: &'a mut Sheet,
    before: usize,
    bytes: &'a mut usize,
}

impl Line<'_> {
    /// The value of the next column.
    pub fn field(&mut self, value: impl Field) {
        value.write(&mut self.sheet.text);
        self.sheet.text.push(b'\t');
    }

    /// Ends the row.
    pub fn end(self) {
        if let Some(last) = self.sheet.text.last_mut() {
            *last = b'\n';
        }
        self.sheet.rows += 1;
        *self.bytes += self.sheet.text.len() - self.before;
    }
}

/// A value that COPY can read.
pub trait Field {
    /// Writes it.
    fn write(&self, text: &mut Vec<u8>);
}

/// Pence, written as pounds.
#[derive(Debug, Clone, Copy)]
pub struct Pounds(pub i64);

/// A thousandth of something, written with its decimals.
#[derive(Debug, Clone, Copy)]
pub struct Thousandths(pub i64);

/// Bytes as they are.
#[derive(Debug, Clone)]
pub struct Bytes(pub Vec<u8>);

/// No value.
#[derive(Debug, Clone, Copy)]
pub struct Null;

fn put(text: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("memory takes every byte");
}

impl Field for Null {
    fn write(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(b"\\N");
    }
}

impl Field for str {
    fn write(&self, text: &mut Vec<u8>) {
        for byte in self.bytes() {
            match byte {
                b'\\' => text.extend_from_slice(b"\\\\"),
                b'\t' => text.extend_from_slice(b"\\t"),
                b'\n' => text.extend_from_slice(b"\\n"),
                b'\r' => text.extend_from_slice(b"\\r"),
                _ => text.push(byte),
            }
        }
    }
}

impl Field for String {
    fn write(&self, text: &mut Vec<u8>) {
        self.as_str().write(text);
    }
}

impl<T: Field + ?Sized> Field for &T {
    fn write(&self, text: &mut Vec<u8>) {
        (**self).write(text);
    }
}

impl<T: Field> Field for Option<T> {
    fn write(&self, text: &mut Vec<u8>) {
        match self {
            Some(value) => value.write(text),
            None => Null.write(text),
        }
    }
}

impl Field for bool {
    fn write(&self, text: &mut Vec<u8>) {
        text.push(if *self { b't' } else { b'f' });
    }
}

macro_rules! numbers {
    ($($kind:ty),*) => {$(
        impl Field for $kind {
            fn write(&self, text: &mut Vec<u8>) {
                put(text, format_args!("{self}"));
            }
        }
    )*};
}
numbers!(i32, i64, u8, u32, u64, usize);

impl Field for Uuid {
    fn write(&self, text: &mut Vec<u8>) {
        let mut digits = [0; uuid::fmt::Hyphenated::LENGTH];
        text.extend_from_slice(self.hyphenated().encode_lower(&mut digits).as_bytes());
    }
}

impl Field for DateTime<Utc> {
    fn write(&self, text: &mut Vec<u8>) {
        self.date_naive().write(text);
        put(text, format_args!(" {:02}:{:02}:{:02}+00", self.hour(), self.minute(), self.second()));
    }
}

impl Field for NaiveDate {
    fn write(&self, text: &mut Vec<u8>) {
        put(text, format_args!("{:04}-{:02}-{:02}", self.year(), self.month(), self.day()));
    }
}

impl Field for Pounds {
    fn write(&self, text: &mut Vec<u8>) {
        let sign = if self.0 < 0 { "-" } else { "" };
        put(text, format_args!("{sign}{}.{:02}", self.0.abs() / 100, self.0.abs() % 100));
    }
}

impl Field for Thousandths {
    fn write(&self, text: &mut Vec<u8>) {
        let sign = if self.0 < 0 { "-" } else { "" };
        put(text, format_args!("{sign}{}.{:03}", self.0.abs() / 1_000, self.0.abs() % 1_000));
    }
}

impl Field for Bytes {
    fn write(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(b"\\\\x");
        for byte in &self.0 {
            text.extend([byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
        }
    }
}

impl Field for Value {
    fn write(&self, text: &mut Vec<u8>) {
        self.to_string().as_str().write(text);
    }
}

/// An array; the elements are written in quotes, as any text can be.
impl<T: Field> Field for Vec<T> {
    fn write(&self, text: &mut Vec<u8>) {
        let mut element = Vec::new();
        text.push(b'{');
        for (place, value) in self.iter().enumerate() {
            if place > 0 {
                text.push(b',');
            }
            element.clear();
            value.write(&mut element);
            text.push(b'"');
            for byte in &element {
                if *byte == b'"' {
                    text.extend_from_slice(b"\\\\");
                }
                text.push(*byte);
            }
            text.push(b'"');
        }
        text.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_what_copy_reads() {
        let mut sheets = Sheets::default();
        let at: DateTime<Utc> = "2026-03-01T07:08:09Z".parse().expect("a moment");
        row!(sheets, "t", { a: "tab\tline\nback\\slash", b: None::<i32>, c: Pounds(-105), d: Thousandths(4_050), e: at, f: vec!["x", "say \"y\""] });
        assert_eq!(sheets.bytes(), sheets.waiting[0].text.len());
        let sheet = &sheets.take()[0];
        let text = String::from_utf8_lossy(&sheet.text);
        assert_eq!(text, "tab\\tline\\nback\\\\slash\t\\N\t-1.05\t4.050\t2026-03-01 07:08:09+00\t{\"x\",\"say \\\\\"y\\\\\"\"}\n");
        assert_eq!((sheet.table, sheet.columns, sheet.rows), ("t", ["a", "b", "c", "d", "e", "f"].as_slice(), 1));
    }
}
