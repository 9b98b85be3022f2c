//! Files that lie at the drop are fetched once, whatever happens on the way.

use jobs::dispatch::FetchFiles;
use sandbox::Fault;
use serde_json::json;

use super::{exported, file, parcels};
use crate::export::run;
use crate::orders::inbox::{count, execute};
use crate::support::{Database, Outside, shelf::rows};

const AT: &str = "2026-01-14 16:05:00";
const FILES: &str = "select file_name, source, record_count from raw_ops.processed_3pl_files order by 1";

#[tokio::test]
async fn each_file_is_fetched_once_and_becomes_parcels() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    exported(&db, &outside, 2).await;
    assert_eq!(run(&db, &outside, FetchFiles {}).await, json!({ "listed": 0, "fetched": 0 }));
    outside.packer.lay_out("a.csv", file(&[["PR#1", "101", AT]]));
    outside.packer.lay_out("b.csv", file(&[["PR#2", "102", AT]]));
    outside.packer.lay_out("a again.csv", file(&[["PR#1", "101", AT]]));
    assert_eq!(run(&db, &outside, FetchFiles {}).await, json!({ "listed": 3, "fetched": 2 }));
    assert_eq!(rows(db.pool(), FILES).await, json!([["a again.csv", "drop", 1], ["b.csv", "drop", 1]]));
    assert_eq!(parcels(&db).await, json!([["101", "DISPATCHED", "#1", "DISPATCHED"], ["102", "DISPATCHED", "#2", "DISPATCHED"]]));
    assert_eq!(run(&db, &outside, FetchFiles {}).await, json!({ "listed": 3, "fetched": 0 }));
}

#[tokio::test]
async fn what_goes_wrong_at_the_drop_loses_no_file_and_fetches_none_twice() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    execute(db.pool(), "update raw_ops.retry_config set backoff_seconds = '{0}'").await;
    for n in 1..=3 {
        outside.packer.lay_out(&format!("{n}.csv"), file(&[[&format!("PR#{n}"), "101", AT]]));
    }
    outside.packer.ask([Fault::Status(503), Fault::Garbage, Fault::LostReply, Fault::RateLimited(0), Fault::Hang]);
    assert_eq!(run(&db, &outside, FetchFiles {}).await["listed"], 3);
    assert_eq!(rows(db.pool(), FILES).await, json!([["1.csv", "drop", 1], ["2.csv", "drop", 1], ["3.csv", "drop", 1]]));
    assert_eq!(count(db.pool(), "raw_ops.webhook_inbox where source = 'packer'").await, 3);
}

#[tokio::test]
async fn however_many_files_cannot_be_had_the_next_one_is_fetched() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    execute(db.pool(), "update raw_ops.retry_config set max_attempts = 1").await;
    for n in 10..61 {
        outside.packer.lay_out(&format!("{n}.csv"), file(&[[&format!("PR#{n}"), "101", AT]]));
    }
    outside.packer.ask_after(1, [Fault::Garbage; 50]);
    run(&db, &outside, FetchFiles {}).await;
    assert_eq!(rows(db.pool(), FILES).await, json!([["60.csv", "drop", 1]]));
    let told = count(db.pool(), "engine.dead_letter_queue where error_message like '%10.csv does not have the hash%'").await;
    assert_eq!(told, 1, "people hear of the first");
}

#[tokio::test]
async fn a_file_that_is_not_what_the_list_says_fails_by_itself() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    execute(db.pool(), "update raw_ops.retry_config set backoff_seconds = '{0}', max_attempts = 2").await;
    outside.packer.lay_out("1.csv", "x".repeat(2 << 20));
    outside.packer.lay_out("2.csv", file(&[]));
    run(&db, &outside, FetchFiles {}).await;
    assert_eq!(rows(db.pool(), FILES).await, json!([["2.csv", "drop", 0]]));
    let told = "select category, error_message from engine.dead_letter_queue";
    assert_eq!(rows(db.pool(), told).await, json!([["upstream", "the packer's drop: answered 200 OK with more than 1048576 bytes"]]));
}
