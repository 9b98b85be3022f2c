//! What commands print: a table or lines for people, JSON for programs, one sentence for an error.

use std::{
    borrow::Cow,
    fmt::Display,
    io::{ErrorKind, Write},
};

use anyhow::Context;
use chrono::{DateTime, Utc};
use comfy_table::{Table, presets};
use serde::Serialize;

/// How an answer is printed.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Format {
    /// Print JSON; ids are strings
    #[arg(long)]
    pub json: bool,
}

/// Prints text and a line break. A reader that has seen enough, such as `head`, is no error.
pub fn print(text: impl Display) -> anyhow::Result<()> {
    write(&shown(&text.to_string(), |letter| format!("\\u{{{:x}}}", u32::from(letter))))
}

fn write(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write to standard output"),
        _ => Ok(()),
    }
}

/// Prints a value as JSON.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value).context("the answer cannot be written as JSON")?;
    write(&shown(&text, |letter| format!("\\u{:04x}", u32::from(letter))))
}

/// A text as a terminal shows it: what would move its cursor, colour it or turn its direction is written out. Errors, keys and
/// arguments are what others wrote.
fn shown(text: &str, written: impl Fn(char) -> String) -> Cow<'_, str> {
    let is_obeyed = |letter: char| {
        let turns = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || (letter.is_control() && !matches!(letter, '\n' | '\t'))
    };
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let letters = text.chars().map(|letter| if is_obeyed(letter) { written(letter) } else { letter.to_string() });
    Cow::Owned(letters.collect())
}

/// Prints rows below a head, in columns.
pub fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head).add_rows(rows);
    let lines: Vec<String> = table.lines().map(|line| line.trim().to_string()).collect();
    print(lines.join("\n"))
}

/// Tells on standard error why a command failed.
pub fn complain(error: &impl Display) {
    // With standard error closed there is nobody to tell.
    let error = error.to_string();
    let _ = writeln!(std::io::stderr(), "rawops: {}", shown(&error, |letter| format!("\\u{{{:x}}}", u32::from(letter))));
}

/// A moment, to the second.
pub fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// The first line of a text, at most `limit` characters of it.
pub fn brief(text: &str, limit: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_string(),
    }
}

/// A value, or nothing.
pub fn or_blank(value: Option<impl Display>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// A count with its word: `1 job`, `2 jobs`.
pub fn counted(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}
