//! `rawops retry`: list, show, set, unset, history, simulate.

use engine::{Client, NewJob};
use serde_json::{Value, json};

use super::program::rawops;
use crate::support::{
    Database,
    kinds::{self, Fail},
    run_all,
};

async fn json_of(db: &Database, words: &[&str]) -> Value {
    let all: Vec<&str> = ["retry"].iter().chain(words).copied().chain(["--json"]).collect();
    rawops(&db.url(), &all).await.ok().json()
}

async fn said(db: &Database, words: &[&str]) -> String {
    let all: Vec<&str> = ["retry"].iter().chain(words).copied().collect();
    rawops(&db.url(), &all).await.ok().out
}

#[tokio::test]
async fn list_and_show_say_what_follows_a_failure() {
    let db = Database::new().await;
    let list = json_of(&db, &["list"]).await;
    let rows = list.as_array().expect("a list");
    let network = rows.iter().find(|row| row["category"] == "network").expect("it is listed");
    assert_eq!((rows.len(), &network["max_attempts"], &network["kind"], &network["version"]), (13, &json!(10), &json!(null), &json!(1)));
    let table = said(&db, &["list"]).await;
    assert!(table.starts_with("CATEGORY") && table.contains("1,5,15,60,300,900,3600"), "{table}");
    let shown = said(&db, &["show", "network", "--kind", "test.fail"]).await;
    assert!(shown.contains("row           network\n") && shown.contains("attempts      10\n"), "{shown}");
}

#[tokio::test]
async fn an_edit_is_numbered_and_in_the_history_with_who_made_it() {
    let db = Database::new().await;
    let answer = said(&db, &["set", "network", "--max-attempts", "4", "--backoff", "10,60,300"]).await;
    assert_eq!(answer, "network: version 2 decides from now on: 4 attempts, 10,60,300 s apart at most\n");
    let row = json_of(&db, &["show", "network"]).await;
    assert_eq!(
        (&row["backoff_seconds"], &row["alert_on_attempt"]),
        (&json!([10, 60, 300]), &json!(4)),
        "the alert follows the last attempt"
    );
    let own =
        json_of(&db, &["set", "network", "--kind", "test.fail", "--max-attempts", "2", "--alert-on", "1", "--escalate-on", "never"]).await;
    assert_eq!(
        (&own["kind"], &own["version"], &own["alert_on_attempt"], &own["escalate_on_attempt"]),
        (&json!("test.fail"), &json!(1), &json!(1), &json!(null))
    );
    assert_eq!(json_of(&db, &["list", "--kind", "test.fail"]).await.as_array().map(Vec::len), Some(1));
    let answer = said(&db, &["unset", "network", "--kind", "test.fail"]).await;
    assert_eq!(answer, "network of test.fail: the row network decides from now on: 4 attempts, 10,60,300 s apart at most\n");

    let history = json_of(&db, &["history", "network"]).await;
    let versions: Vec<_> =
        history.as_array().expect("a list").iter().map(|row| [&row["kind"], &row["version"], &row["what"], &row["changed_by"]]).collect();
    let (ada, kind, none) = (json!("ada on the command line"), json!("test.fail"), json!(null));
    let expected = [
        [&kind, &json!(2), &json!("removed"), &ada],
        [&kind, &json!(1), &json!("made"), &ada],
        [&none, &json!(2), &json!("edited"), &ada],
        [&none, &json!(1), &json!("found"), &json!("the migration")],
    ];
    assert_eq!(versions, expected);
    let table = said(&db, &["history", "network", "--limit", "3"]).await;
    assert!(table.lines().count() == 4 && table.contains("4 attempts, [10,60,300] s"), "{table}");
}

#[tokio::test]
async fn a_draft_is_tried_on_what_failed() {
    let db = Database::new().await;
    let nothing = said(&db, &["simulate", "--category", "conflict", "--max-attempts", "2"]).await;
    assert!(nothing.contains("nothing failed with that category in the last 7 days"), "{nothing}");
    said(&db, &["set", "conflict", "--backoff", "0"]).await;
    let client = Client::new(db.pool().clone());
    for times in [1, 3] {
        let job = NewJob::of(&Fail { category: "conflict".into(), times }).expect("the arguments are JSON");
        client.enqueue(&job).await.expect("the queue takes the job");
    }
    run_all(&db, kinds::kinds()).await;
    let words = ["simulate", "--days", "1", "--category", "conflict", "--max-attempts", "2", "--backoff", "30"];
    let report = json_of(&db, &words).await;
    let effect = &report["kinds"]["test.fail"];
    assert_eq!([&effect["jobs"], &effect["failures"], &effect["successes_lost"], &effect["tries_saved"]], [2, 4, 1, 1]);
    assert_eq!(
        (&effect["wait_added_s"], &report["draft"]["max_attempts"], &report["today"]["max_attempts"]),
        (&json!(30.0), &json!(2), &json!(20))
    );
    assert!(effect["lost_jobs"][0].is_string(), "ids are strings: {effect}");
    let table = said(&db, &words).await;
    assert!(
        table.contains("jobs that completed and would have died: ") && table.contains("Jobs are taken to fail as they did."),
        "{table}"
    );
    assert_eq!(json_of(&db, &["show", "conflict"]).await["version"], json!(2), "a simulation changes nothing");
}

#[tokio::test]
async fn nonsense_is_refused_with_a_sentence() {
    let db = Database::new().await;
    let refused = async |words: &[&str]| {
        let all: Vec<&str> = ["retry"].iter().chain(words).copied().collect();
        rawops(&db.url(), &all).await.refusal(1)
    };
    let category = refused(&["set", "netwrok", "--max-attempts", "3"]).await;
    assert!(category.starts_with("there is no error category netwrok: there are auth, bug, business_rule, "), "{category}");
    let alert = refused(&["set", "network", "--alert-on", "11"]).await;
    assert_eq!(
        alert,
        "the retry policy of network is refused: alert_on_attempt is 11 and must be from 1 to max_attempts, 10; nothing was changed"
    );
    let nothing = refused(&["unset", "network", "--kind", "test.fail"]).await;
    assert_eq!(nothing, "there is no override of category network for kind test.fail: `rawops retry list` shows them");
    let default = refused(&["set", "default", "--kind", "test.fail", "--max-attempts", "3"]).await;
    assert!(default.starts_with("the retry policy of default of test.fail is refused: there is no error category 'default'"), "{default}");
    for (words, sentence) in [
        (vec!["set", "network"], "the following required arguments were not provided"),
        (vec!["set", "network", "--max-attempts", "0"], "0 is not in 1..=1000"),
        (vec!["set", "network", "--max-attempts", "1001"], "1001 is not in 1..=1000"),
        (vec!["set", "network", "--backoff", "10,-1"], "-1 is not in 0..=315360000"),
        (vec!["set", "network", "--backoff", "10,9999999999"], "9999999999 is not in 0..=315360000"),
        (vec!["set", "network", "--backoff", "10,,5"], "cannot parse integer from empty string"),
        (vec!["set", "network", "--alert-on", "soon"], "expected an attempt from 1 to 1000, or never"),
        (vec!["simulate", "--category", "network", "--days", "0"], "0 is not in 1..=365"),
    ] {
        let all: Vec<&str> = ["retry"].iter().chain(&words).copied().collect();
        let answer = rawops(&db.url(), &all).await;
        assert!(answer.code == 2 && answer.err.contains(sentence), "{answer:?}");
    }
}
