//! Which database a command uses, and what it says when that is none.

use super::program::{answer, command, rawops};
use crate::support::Database;

const OPERATORS: [&[&str]; 3] = [&["jobs", "list"], &["dead", "list"], &["migrate"]];
const PROCESSES: [&[&str]; 3] = [&["web"], &["worker"], &["scheduler"]];

#[tokio::test]
async fn an_empty_database_url_is_refused_by_every_command() {
    for words in OPERATORS.into_iter().chain(PROCESSES) {
        let sentence = rawops("", words).await.refusal(1);
        assert!(sentence.starts_with("DATABASE_URL is set but empty: set it to"), "{words:?}: {sentence}");
    }
    let sentence = rawops(" ", &["doctor"]).await.refusal(2);
    assert!(sentence.starts_with("could not look: DATABASE_URL is set but empty"), "{sentence}");
}

#[tokio::test]
async fn a_process_without_a_database_says_what_to_set() {
    for words in PROCESSES {
        let sentence = answer(command(words)).await.refusal(1);
        assert!(sentence.starts_with("DATABASE_URL is not set") && sentence.contains("rawops up"), "{words:?}: {sentence}");
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_without_its_password() {
    for url in ["mysql://ada:sesame@localhost/x", "postgres://ada:sesame@localhost:port/x", "sesame", "postgres://ada:sesame@127.0.0.1:1/x"]
    {
        let answer = rawops(url, &["jobs", "list"]).await;
        assert!(!answer.err.contains("sesame"), "{answer:?}");
        answer.refusal(1);
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_named() {
    let sentence = rawops("postgres://ada@127.0.0.1:1/raw", &["dead", "list"]).await.refusal(1);
    assert!(sentence.starts_with("cannot open database raw on 127.0.0.1:1:") && sentence.contains("refused"), "{sentence}");
    let sentence = rawops("postgres://ada@127.0.0.1:1/raw", &["doctor"]).await.refusal(2);
    assert!(sentence.starts_with("could not look: cannot open database raw"), "{sentence}");
}

#[tokio::test]
async fn the_flag_is_stronger_than_the_variable() {
    let db = Database::new().await;
    let url = db.url();
    let answer = rawops("postgres://ada@127.0.0.1:1/raw", &["jobs", "list", "--database-url", &url]).await.ok();
    assert_eq!(answer.out, "no jobs\n");
}

#[tokio::test]
async fn help_shows_every_command_and_no_secret() {
    let mut help = command(&["--help"]);
    help.env("DATABASE_URL", "postgres://ada:sesame@localhost/x");
    let answer = answer(help).await.ok();
    for word in ["up", "web", "worker", "scheduler", "migrate", "jobs", "dead", "doctor", "db"] {
        assert!(answer.out.contains(&format!("\n  {word} ")), "{word}: {}", answer.out);
    }
    assert!(!answer.out.contains("sesame"));
}

#[tokio::test]
async fn ids_that_are_none_are_refused_with_the_way_to_find_one() {
    let db = Database::new().await;
    for (words, hint) in [
        (["jobs", "show", "five"], "a job's id is a whole number, as `rawops jobs list` shows it"),
        (["jobs", "cancel", "1.5"], "a job's id is a whole number"),
        (["dead", "show", "5"], "a dead letter's id is a UUID, as `rawops dead list` shows it"),
        (["dead", "requeue", "zzz"], "a dead letter's id is a UUID"),
    ] {
        let answer = rawops(&db.url(), &words).await;
        assert!(answer.code == 2 && answer.err.contains(hint), "{answer:?}");
    }
}
