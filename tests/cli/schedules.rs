//! `rawops schedules`: list, show, next, pause, resume, run, set, unset.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::program::rawops;
use crate::support::{Database, ledger};

const NAME: &str = "prune_enqueue_keys";

async fn shown(db: &Database) -> Value {
    rawops(&db.url(), &["schedules", "show", NAME, "--json"]).await.ok().json()
}

/// What a command that must fail says; the words are those after `schedules`.
async fn refused(db: &Database, words: &[&str]) -> String {
    let all: Vec<&str> = ["schedules"].iter().chain(words).copied().collect();
    rawops(&db.url(), &all).await.refusal(1)
}

#[tokio::test]
async fn list_says_what_recurs_and_when_next() {
    let db = Database::new().await;
    let list = rawops(&db.url(), &["schedules", "list", "--json"]).await.ok().json();
    let all = list.as_array().expect("a list");
    assert_eq!(all.len(), schedules::SCHEDULES.len());
    let one = all.iter().find(|schedule| schedule["name"] == NAME).expect("it is listed");
    assert_eq!((&one["cron"], &one["zone"], &one["paused"]), (&json!("17 * * * *"), &json!("Europe/London"), &json!(false)));
    assert_eq!(
        (&one["misfire"], &one["overlap"], &one["jitter_s"], &one["last"]),
        (&json!("latest"), &json!("skip"), &json!(0), &json!(null))
    );
    let next: DateTime<Utc> = one["next"]["occurrence"].as_str().expect("it comes").parse().expect("a moment");
    assert!(next > ledger::now(db.pool()).await);
    let table = rawops(&db.url(), &["schedules", "list"]).await.ok().out;
    assert!(table.starts_with("NAME") && table.contains("17 * * * *") && table.contains("Europe/London"), "{table}");
}

#[tokio::test]
async fn next_shows_the_change_of_clocks() {
    let db = Database::new().await;
    rawops(&db.url(), &["schedules", "set", NAME, "--cron", "30 1 29 3 *"]).await.ok();
    let preview = rawops(&db.url(), &["schedules", "next", NAME, "-n", "30", "--json"]).await.ok().json();
    let next = preview["next"].as_array().expect("a list");
    assert_eq!((next.len(), &preview["paused"]), (30, &json!(false)));
    // On Sunday 29 March 2026 and 2037 the clocks of London go from 01:00 to 02:00.
    let in_2037 = next.iter().find(|next| next["occurrence"].as_str().is_some_and(|at| at.starts_with("2037"))).expect("it comes in 2037");
    assert_eq!((&in_2037["occurrence"], &in_2037["local"]), (&json!("2037-03-29T01:00:00Z"), &json!("2037-03-29 02:00:00 BST")));
    let table = rawops(&db.url(), &["schedules", "next", NAME, "-n", "2"]).await.ok().out;
    assert!(table.lines().count() == 3 && table.contains("LOCAL TIME"), "{table}");
}

#[tokio::test]
async fn a_change_is_shown_with_who_and_why_and_can_be_taken_back() {
    let db = Database::new().await;
    let words = ["schedules", "set", NAME, "--cron", "*/5 * * * *", "--zone", "Asia/Tokyo", "--misfire", "all:7"];
    let more = ["--overlap", "buffer", "--jitter", "90s", "--reason", "a quiet week"];
    let said = rawops(&db.url(), &[&words[..], &more[..]].concat()).await.ok().out;
    assert_eq!(said, format!("schedule {NAME} comes at `*/5 * * * *` in Asia/Tokyo, up to 90 s later\n"));
    let schedule = shown(&db).await["schedule"].clone();
    let fields = ["cron", "zone", "misfire", "overlap", "jitter_s", "edited", "changed_by", "reason"].map(|field| schedule[field].clone());
    let wanted = json!(["*/5 * * * *", "Asia/Tokyo", "all:7", "buffer", 90, true, "ada on the command line", "a quiet week"]);
    assert_eq!(Value::from(fields.to_vec()), wanted);
    let lines = rawops(&db.url(), &["schedules", "show", NAME]).await.ok().out;
    assert!(lines.contains("the program     has it at `17 * * * *` in Europe/London\n") && lines.contains("a quiet week"), "{lines}");

    let said = rawops(&db.url(), &["schedules", "unset", NAME]).await.ok().out;
    assert_eq!(said, format!("schedule {NAME} comes at `17 * * * *` in Europe/London, as the program has it\n"));
    assert_eq!(refused(&db, &["unset", NAME]).await, format!("schedule {NAME} is as the program has it"));
}

#[tokio::test]
async fn a_schedule_is_paused_and_resumed() {
    let db = Database::new().await;
    let said = rawops(&db.url(), &["schedules", "pause", NAME, "--reason", "stocktaking"]).await.ok().out;
    assert_eq!(said, format!("schedule {NAME} is paused\n"));
    let paused = shown(&db).await["schedule"].clone();
    assert_eq!((&paused["paused"], &paused["next"], &paused["reason"]), (&json!(true), &json!(null), &json!("stocktaking")));
    let again = refused(&db, &["pause", NAME]).await;
    assert_eq!(again, format!("schedule {NAME} is paused already, last changed by ada on the command line"));
    rawops(&db.url(), &["schedules", "resume", NAME]).await.ok();
    assert_eq!(refused(&db, &["resume", NAME]).await, format!("schedule {NAME} is not paused"));
}

#[tokio::test]
async fn a_run_by_hand_is_in_the_history() {
    let db = Database::new().await;
    let answer = rawops(&db.url(), &["schedules", "run", NAME, "--json", "--reason", "to see it work"]).await.ok().json();
    let job = answer["job_id"].as_str().expect("ids are strings");
    let still = refused(&db, &["run", NAME]).await;
    assert_eq!(still, format!("schedule {NAME} was not run: its job {job} has not ended"));
    rawops(&db.url(), &["schedules", "run", NAME, "--anyway"]).await.ok();
    let history = shown(&db).await["history"].clone();
    let first = &history.as_array().expect("a list")[1];
    let fields = [&first["how"], &first["by"], &first["note"], &first["job_id"], &first["state"]];
    assert_eq!(fields, [&json!("manual"), &json!("ada on the command line"), &json!("to see it work"), &json!(job), &json!("ready")]);
    let lines = rawops(&db.url(), &["schedules", "show", NAME]).await.ok().out;
    assert!(lines.contains(&format!("{job} ready")) && lines.contains("by ada on the command line; to see it work"), "{lines}");
}

#[tokio::test]
async fn what_says_nothing_is_refused_with_a_sentence() {
    let db = Database::new().await;
    let line = refused(&db, &["set", NAME, "--cron", "61 * * * *"]).await;
    assert!(line.starts_with("`61 * * * *` is no cron line: ") && line.ends_with("; nothing was changed"), "{line}");
    let zone = refused(&db, &["set", NAME, "--zone", "europe/london"]).await;
    assert_eq!(zone, "there is no time zone `europe/london`: did you mean Europe/London?; nothing was changed");
    assert_eq!(refused(&db, &["set", NAME, "--jitter", "2days"]).await, "a jitter is 24 hours at most; nothing was changed");
    for (words, sentence) in [
        (vec!["set", NAME], "the following required arguments were not provided"),
        (vec!["set", NAME, "--misfire", "all:0"], "a misfire policy is skip, latest, or all:N with N from 1 to 1000"),
        (vec!["set", NAME, "--overlap", "queue"], "an overlap policy is skip, allow or buffer"),
        (vec!["show", "nothing"], "there is no such schedule; there are: "),
    ] {
        let all: Vec<&str> = ["schedules"].iter().chain(&words).copied().collect();
        let answer = rawops(&db.url(), &all).await;
        assert!(answer.code == 2 && answer.err.contains(sentence), "{answer:?}");
    }
    assert_eq!(shown(&db).await["schedule"]["edited"], json!(false));
}
