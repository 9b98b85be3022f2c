//! Seeds that failed: what failed, and what came of the seed since.

use std::fmt::Write;

use super::{Ran, Results};

/// What the changes to the product are written in.
const CHANGELOG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../CHANGELOG.md");

/// The table of all runs that failed; nothing when none did.
pub fn table(results: &Results) -> String {
    let mut rows = String::new();
    // A page that is written elsewhere does without it.
    let changes = std::fs::read_to_string(CHANGELOG).unwrap_or_default();
    for (place, ran) in results.runs().iter().enumerate().filter(|(_, ran)| !ran.is_clean()) {
        let (day, since) = (ran.origin.at.format("%Y-%m-%d"), since(ran.seed, &results.runs()[place + 1..], &changes));
        let _ = writeln!(rows, "| {} | {} | {day} | {} | {since} |", ran.seed, ran.origin.source(), what(ran));
    }
    if rows.is_empty() {
        return rows;
    }
    format!(
        "\nRuns that failed, each of which stays here, whatever came of its seed since:\n\n| seed | commit | day | what failed | since |\n|---:|---|---|---|---|\n{rows}"
    )
}

/// What a run failed for.
fn what(ran: &Ran) -> String {
    if let Some(broke) = &ran.broke {
        return format!("the run came to nothing: {}", cell(broke));
    }
    let failed = ran.findings.iter().filter(|(_, judged)| judged.violations > 0);
    let words: Vec<String> = failed
        .map(|(id, judged)| format!("{id}, {} times: {}", judged.violations, cell(judged.words.first().map_or("", String::as_str))))
        .collect();
    words.join("; ")
}

/// What later runs of a seed came to; and what the changelog says of it, once the last of them is clean: before that, what it
/// says is of another failure, or mends nothing.
fn since(seed: u64, later: &[Ran], changes: &str) -> String {
    let of_seed: Vec<&Ran> = later.iter().filter(|ran| ran.seed == seed).collect();
    let clean = of_seed.iter().filter(|ran| ran.is_clean()).count();
    let mut since = match of_seed.last() {
        None => "not run again".to_owned(),
        Some(last) if last.is_clean() => format!("clean on {}, {clean} of {} runs", last.origin.source(), of_seed.len()),
        Some(last) => format!("failed on {}, clean in {clean} of {} runs", last.origin.source(), of_seed.len()),
    };
    if let Some(entry) = change(changes, seed).filter(|_| of_seed.last().is_some_and(|last| last.is_clean())) {
        let _ = write!(since, ". Changelog: {}", cell(&entry));
    }
    since
}

/// The entry of the changelog that names a seed.
fn change(text: &str, seed: u64) -> Option<String> {
    let name = format!("seed {seed}");
    let names = |entry: &str| entry.match_indices(&name).any(|(at, _)| !entry[at + name.len()..].starts_with(|c: char| c.is_ascii_digit()));
    let entries = text.split("\n- ").map(|entry| entry.split_whitespace().collect::<Vec<_>>().join(" "));
    entries.into_iter().find(|entry| names(entry))
}

/// Text that fits a cell of a table.
fn cell(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().replace('|', "/");
    if line.chars().count() <= 220 { line } else { format!("{}…", line.chars().take(220).collect::<String>()) }
}

#[cfg(test)]
mod tests {
    use super::{
        super::lines::tests::{ran, results},
        *,
    };

    #[test]
    fn a_seed_that_failed_stays_with_what_came_of_it() {
        let table = table(&results(vec![ran(1, "a", 1), ran(2, "a", 0), ran(3, "a", 2), ran(1, "b", 0)], Vec::new()));
        assert!(table.contains("| 1 | a | 1970-01-01 | I1, 1 times: job 0 is / lost | clean on b, 1 of 1 runs |"), "{table}");
        assert!(table.contains("| 3 | a | 1970-01-01 | I1, 2 times: job 0 is / lost | not run again |"), "{table}");
        assert!(!table.contains("| 2 |"));
    }

    #[test]
    fn a_change_is_shown_of_a_seed_that_is_clean_since() {
        let text = "# Changes\n\n- Mended (seed 1)";
        assert_eq!(since(1, &[], text), "not run again");
        assert_eq!(since(1, &[ran(2, "b", 0)], text), "not run again");
        assert_eq!(since(1, &[ran(1, "b", 0)], text), "clean on b, 1 of 1 runs. Changelog: Mended (seed 1)");
        assert_eq!(since(1, &[ran(1, "b", 0), ran(1, "c", 1)], text), "failed on c, clean in 1 of 2 runs");
    }

    #[test]
    fn the_changelog_is_asked_for_whole_numbers() {
        let text = "# Changes\n\n- A join is passed\n  later (seed 11).\n- Another (seed 112)";
        assert_eq!(change(text, 11).as_deref(), Some("A join is passed later (seed 11)."));
        assert_eq!(change(text, 112).as_deref(), Some("Another (seed 112)"));
        assert_eq!(change(text, 1), None);
    }
}
