//! Every subcommand with wrong words, a wrong place and a reader that has gone: one sentence that says what to do, and never a
//! panic. The subcommands and their options are read from the program's own help, so that a new one cannot be left out.

use std::{ffi::OsString, os::unix::ffi::OsStringExt, process::Stdio};

use futures_util::{StreamExt, stream};
use sqlx::AssertSqlSafe;

use super::program::{self, Answer, command};
use crate::support::Database;

/// How each is called with things that are not there, where it needs some.
const CALLS: [&str; 51] = [
    "up --for 1s",
    "web",
    "worker",
    "scheduler",
    "migrate",
    "seed --orders 1 --until 2020-01-01",
    "jobs list",
    "jobs show 1",
    "jobs enqueue health.prune_enqueue_keys --args {}",
    "jobs cancel 1",
    "workers list",
    "queues list",
    "queues set default --depth-limit none",
    "why 1",
    "limits list",
    "limits set key shop:1 --at-once 3",
    "limits unset key shop:2",
    "breakers list",
    "breakers open slack",
    "breakers close slack",
    "breakers auto slack",
    "breakers set slack --share 50",
    "pause queue default",
    "resume queue default",
    "workflows list",
    "workflows show 1",
    "workflows emit name key",
    "workflows restart 1 --from 2",
    "dead list",
    "dead causes",
    "dead show b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
    "dead requeue b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
    "dead discard b54557e4-bdd9-4b37-8a5f-bf7d70bcd043 --reason none",
    "schedules list",
    "schedules show reconcile-stock",
    "schedules next reconcile-stock",
    "schedules pause reconcile-stock",
    "schedules resume reconcile-stock",
    "schedules run reconcile-stock",
    "schedules set reconcile-stock --zone UTC",
    "schedules unset reconcile-stock",
    "retry list",
    "retry show network",
    "retry set network --max-attempts 3",
    "retry unset network --kind orders.process_order",
    "retry history",
    "retry simulate --category network --max-attempts 3",
    "orders stopped PR#1001",
    "retention list",
    "retention set completed 7d",
    "doctor",
];
/// The others.
const MORE_CALLS: [&str; 5] = ["tokens create ann --scope jobs:read", "tokens list", "tokens revoke nobody", "db stop", "db url"];
/// Those that serve until they are stopped, or bring a server of their own: their words are tried as far as they are refused.
const SERVING: [&str; 7] = ["up", "web", "worker", "scheduler", "seed", "db stop", "db url"];
/// What is put in the place of each word and of each option's value.
const JUNK: [&str; 7] =
    ["", "zzz", "-1", "99999999999999999999", "\u{1b}[31m\u{202e}é🐕", "'; drop table engine.job; --", "2026-02-30T25:00:00Z"];
/// How many run at once.
const AT_ONCE: usize = 4;

fn calls() -> impl Iterator<Item = Vec<&'static str>> {
    CALLS.into_iter().chain(MORE_CALLS).map(|call| call.split(' ').collect())
}

/// Whether a call is of this subcommand.
fn is_of(call: &[&str], subcommand: &str) -> bool {
    let words: Vec<&str> = subcommand.split(' ').collect();
    call.starts_with(&words)
}

fn is_serving(call: &[&str]) -> bool {
    SERVING.iter().any(|subcommand| is_of(call, subcommand))
}

async fn run(url: Option<&str>, words: &[impl AsRef<std::ffi::OsStr>]) -> Answer {
    let mut command = command(&[]);
    command.args(words).current_dir(env!("CARGO_TARGET_TMPDIR")).env("COLUMNS", "20");
    if let Some(url) = url {
        command.env("DATABASE_URL", url);
    }
    program::answer(command).await
}

async fn help(words: &[String]) -> String {
    let words: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
    run(None, &words).await.ok().out
}

/// The words that begin the lines under a head of a help page.
fn under<'a>(page: &'a str, head: &str) -> Vec<&'a str> {
    let lines = page.lines().skip_while(|line| *line != head).skip(1).take_while(|line| !line.is_empty());
    // Explanations are indented further than what they explain.
    lines.filter(|line| line.starts_with("  ") && !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next()).collect()
}

/// Every subcommand that has none of its own, by the help.
async fn subcommands() -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![Vec::new()]);
    while let Some(words) = open.pop() {
        let page = help(&words).await;
        let under = under(&page, "Commands:");
        if under.is_empty() {
            found.push(words.join(" "));
        }
        let named = under.into_iter().filter(|name| *name != "help");
        open.extend(named.map(|name| words.iter().cloned().chain([name.to_owned()]).collect()));
    }
    found
}

/// Options of a subcommand that have a value, by the help.
async fn options(subcommand: &[&str]) -> Vec<String> {
    let words: Vec<String> = subcommand.iter().map(ToString::to_string).collect();
    let page = help(&words).await;
    let lines = page.lines().filter(|line| line.trim_start().starts_with('-') && line.contains('<'));
    let names = lines.filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")));
    names.filter(|name| *name != "--database-url").map(ToString::to_string).collect()
}

/// What is wrong with an answer, whatever was asked: a person wants one sentence on what is wrong and what to do.
fn fault_of(answer: &Answer) -> Option<&'static str> {
    let Answer { code, out, err } = answer;
    let said = [out.as_str(), err].concat();
    let is_trace = ["panicked", "RUST_BACKTRACE", "stack backtrace", "error returned from database", "Error:"];
    if is_trace.iter().any(|trace| said.contains(trace)) {
        return Some("it shows its insides");
    }
    let is_obeyed = |letter: char| (letter.is_control() && !matches!(letter, '\n' | '\t')) || letter == '\u{202e}';
    match code {
        // What clap refuses it repeats as it was typed, to whoever typed it.
        0 | 1 if said.contains(is_obeyed) => Some("it tells the terminal what to do"),
        1 if !out.is_empty() || err.lines().count() != 1 || !err.starts_with("rawops: ") || err.trim_end().len() < 20 => {
            Some("no sentence")
        }
        2 if !out.is_empty() || !(err.contains("--help") || err.starts_with("rawops: could not look")) => Some("no way out"),
        0..=2 => None,
        _ => Some("a strange exit code"),
    }
}

/// Runs calls beside each other and judges each.
async fn judge_all(url: Option<&str>, calls: Vec<Vec<OsString>>) -> Vec<(String, Answer)> {
    let run = |call: Vec<OsString>| async move {
        let shown = call.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
        (shown, self::run(url, &call).await)
    };
    let answers: Vec<(String, Answer)> = stream::iter(calls).map(run).buffer_unordered(AT_ONCE).collect().await;
    let wrong = answers.iter().filter_map(|(words, answer)| Some(format!("`{words}`: {}: {answer:?}", fault_of(answer)?)));
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    answers
}

fn os(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_subcommand_of_the_help_is_tried_here() {
    let found = subcommands().await;
    for subcommand in &found {
        assert!(calls().any(|call| is_of(&call, subcommand)), "`{subcommand}` is new: say in CALLS how it is called");
    }
    let unknown: Vec<_> = calls().filter(|call| !found.iter().any(|subcommand| is_of(call, subcommand))).collect();
    assert!(unknown.is_empty(), "the help knows nothing of {unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_no_subcommand_has_are_refused_with_the_way_to_the_help() {
    let broken = OsString::from_vec(vec![b'a', 0xff]);
    let wrong = calls().flat_map(|call| [[os(&call), vec!["--no-such".into()]].concat(), [os(&call), vec![broken.clone()]].concat()]);
    for (words, answer) in judge_all(None, wrong.collect()).await {
        assert_eq!(answer.code, 2, "`{words}`: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_subcommand_says_that_the_database_is_away_or_not_migrated() {
    let asking: Vec<_> = calls().filter(|call| !is_serving(call) && !is_of(call, "schedules next")).collect();
    for (words, answer) in judge_all(Some("postgres://ada@127.0.0.1:1/raw"), asking.iter().map(|call| os(call)).collect()).await {
        assert!(answer.code == if words == "doctor" { 2 } else { 1 }, "`{words}`: {answer:?}");
        assert!(answer.err.contains("cannot open database raw on 127.0.0.1:1"), "`{words}`: {answer:?}");
    }
    let empty = Database::empty().await;
    let asking = asking.iter().filter(|call| !is_of(call, "migrate"));
    for (words, answer) in judge_all(Some(&empty.url()), asking.map(|call| os(call)).collect()).await {
        assert!(answer.err.contains("run `rawops migrate` first"), "`{words}`: {answer:?}");
    }
}

/// A call with junk in the place of each word after the subcommand and in that of each option's value, two of it a place.
async fn spoilt(place: usize, call: &[&str], subcommand: &str) -> Vec<Vec<OsString>> {
    let length = subcommand.split(' ').count();
    let mut spoilt = Vec::new();
    let junk = |at: usize| [at, at + 3].map(|at| JUNK[(place + at) % JUNK.len()]);
    for at in (length..call.len()).filter(|at| !call[*at].starts_with("--")) {
        for word in junk(at) {
            let mut words = os(call);
            words[at] = word.into();
            spoilt.push(words);
        }
    }
    for (at, option) in options(&call[..length]).await.into_iter().enumerate().filter(|(_, option)| !call.contains(&option.as_str())) {
        spoilt.extend(junk(at).map(|word| [os(call), vec![format!("{option}={word}").into()]].concat()));
    }
    spoilt
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_stands_for_a_word_is_taken_or_refused_in_one_sentence() {
    let db = Database::new().await;
    let found = subcommands().await;
    let mut all = Vec::new();
    for (place, call) in calls().enumerate().filter(|(_, call)| !is_serving(call)) {
        let subcommand = found.iter().find(|subcommand| is_of(&call, subcommand)).expect("another test says so");
        all.push(os(&call));
        all.extend(spoilt(place, &call, subcommand).await);
    }
    let answers = judge_all(Some(&db.url()), all).await;
    let refused = answers.iter().filter(|(_, answer)| answer.code != 0).count();
    assert!(answers.len() > 150 && refused > answers.len() / 3 && refused < answers.len(), "{refused} of {} were refused", answers.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_moves_no_cursor_and_forges_no_line() {
    let db = Database::new().await;
    // Such a queue is made no more, but may be there.
    let hostile = r"\u001b[2J\u001b]0;owned\u0007\u009b31m\u202egnp.exe\r";
    let made = format!(
        "insert into engine.lane (queue, kind, priority) values (U&'\\001b[31mq', 'test.nobody_knows', 5);
         select engine.enqueue('test.nobody_knows', '{{\"name\": \"{hostile}\"}}', queue => U&'\\001b[31mq');
         insert into engine.worker (name, lease_until, info)
         values (U&'\\001b[31mw', engine.now() + interval '1 hour', '{{\"version\": \"{hostile}\", \"kinds\": 5}}');
         insert into engine.dead_letter_queue (source, topic, payload, error_message, category) values ('test', 'test.x', '{{}}', '{}', 'bug')",
        "\u{1b}[2Jred\u{202e}\u{9b}"
    );
    // The text is this test's own.
    sqlx::raw_sql(AssertSqlSafe(made)).execute(db.pool()).await.expect("SQL takes it");
    let calls = "jobs list, jobs show 1, dead list, jobs list --json, jobs show 1 --json, dead list --json, queues list, why 1, \
                 workers list, workers list --json";
    for call in calls.split(", ") {
        let answer = run(Some(&db.url()), &call.split(' ').collect::<Vec<_>>()).await.ok();
        assert_eq!(fault_of(&answer), None, "`{call}`: {answer:?}");
        if call.ends_with("--json") {
            answer.json();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_seen_enough_is_no_failure() {
    let db = Database::new().await;
    for call in ["--help", "--version", "jobs list", "schedules list", "retry list --json", "doctor", "migrate --schema"] {
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        drop(reader);
        let mut gone = command(&call.split(' ').collect::<Vec<_>>());
        gone.env("DATABASE_URL", db.url()).stdout(Stdio::from(writer));
        let answer = program::answer(gone).await;
        assert!(answer.code == 0 && answer.err.is_empty(), "`{call}`: {answer:?}");
    }
}
