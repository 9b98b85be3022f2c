//! `rawops seed`: what it prints and refuses, and that the doctor has nothing to say afterwards.

use crate::cli::program::rawops;
use crate::support::{Database, ledger::count};

#[tokio::test]
async fn it_prints_the_rows_of_each_table_and_leaves_a_sound_database() {
    let db = Database::new().await;
    let said = rawops(&db.url(), &["seed", "--orders", "120", "--seed", "3", "--until", "2026-03-01"]).await.ok();
    assert_eq!(said.err, "");
    let rows = |table: &str| {
        let line =
            said.out.lines().find(|line| line.split_whitespace().next() == Some(table)).unwrap_or_else(|| panic!("{table}: {}", said.out));
        line.split_whitespace().nth(1).and_then(|rows| rows.parse::<i64>().ok()).unwrap_or_else(|| panic!("{line}"))
    };
    assert_eq!(rows("orders"), 120);
    assert_eq!(rows("order_items"), count(db.pool(), "select count(*) from raw_ops.order_items").await);
    let last = said.out.lines().last().unwrap_or_default();
    assert!(last.contains(" rows in ") && last.contains("until 2026-03-02 00:00:00Z"), "{last}");

    let doctor = rawops(&db.url(), &["doctor"]).await.ok();
    assert!(doctor.out.starts_with("0 faults, 0 warnings by "), "{doctor:?}");
    let refused = rawops(&db.url(), &["seed", "--orders", "1"]).await.refusal(1);
    assert_eq!(refused, "the database has orders already: use an empty one, or say --add to put more beside them");
    rawops(&db.url(), &["seed", "--orders", "5", "--add", "--until", "2026-03-01"]).await.ok();
    assert_eq!(count(db.pool(), "select count(*) from raw_ops.orders").await, 125);
}

#[tokio::test]
async fn without_an_end_the_last_hours_are_full() {
    let db = Database::new().await;
    let said = rawops(&db.url(), &["seed", "--orders", "500", "--json"]).await.ok().json();
    assert_eq!(said["tables"]["orders"], 500);
    let recent =
        count(db.pool(), "select count(*) from raw_ops.orders where ordered_at between now() - interval '1 day 1 minute' and now()").await;
    assert!(recent > 3, "{recent}");
}

#[tokio::test]
async fn what_cannot_be_told_is_refused_in_one_sentence() {
    let db = Database::new().await;
    let refused = rawops(&db.url(), &["seed", "--orders", "5", "--until", "2999-01-01"]).await.refusal(1);
    assert!(refused.starts_with("the history cannot end in the future"), "{refused}");
    let refused = rawops(&db.url(), &["seed", "--orders", "5", "--until", "1970-01-05"]).await.refusal(1);
    assert!(refused.starts_with("the history cannot end before"), "{refused}");
    for words in [["--orders", "0"], ["--orders", "many"], ["--orders", "99999999"]] {
        let answer = rawops(&db.url(), &["seed", words[0], words[1]]).await;
        assert!(answer.code == 2 && answer.err.contains("--orders"), "{answer:?}");
    }
    let answer = rawops(&db.url(), &["seed", "--orders", "5", "--until", "yesterday"]).await;
    assert!(answer.code == 2 && answer.err.contains("expected a day like"), "{answer:?}");
    let older = rawops(&Database::empty().await.url(), &["seed", "--orders", "5"]).await.refusal(1);
    assert!(older.contains("run `rawops migrate` first"), "{older}");
    assert_eq!(count(db.pool(), "select count(*) from raw_ops.customers").await, 0);
}
