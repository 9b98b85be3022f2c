//! What commands print: a table or lines for people, JSON for programs, one sentence for an error.

use std::{
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
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write to standard output"),
        _ => Ok(()),
    }
}

/// Prints a value as JSON.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    print(serde_json::to_string_pretty(value).context("the answer cannot be written as JSON")?)
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
    let _ = writeln!(std::io::stderr(), "rawops: {error}");
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
