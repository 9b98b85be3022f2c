//! `rawops queues`: list, set.

use engine::{Client, NewJob};
use serde_json::json;

use super::program::rawops;
use crate::support::{Database, kinds::NoOp};

#[tokio::test]
async fn a_limit_is_set_seen_and_taken_away() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    for n in 0..3 {
        client.enqueue(&NewJob::of(&NoOp { n }).expect("serialises")).await.expect("enqueued");
    }
    sqlx::query("select engine.measure_figures(0)").execute(db.pool()).await.expect("measured");
    let set = rawops(&db.url(), &["queues", "set", "default", "--depth-limit", "3"]).await.ok().out;
    assert_eq!(set, "queue default refuses jobs while 3 are ready; 3 are now\n");
    let listed = rawops(&db.url(), &["queues", "list", "--json"]).await.ok().json();
    assert_eq!((&listed[0]["name"], &listed[0]["ready"], &listed[0]["depth_limit"]), (&json!("default"), &json!(3), &json!(3)));
    let table = rawops(&db.url(), &["queues", "list"]).await.ok().out;
    assert!(table.starts_with("QUEUE") && table.contains("default"), "{table}");
    client.enqueue(&NewJob::of(&NoOp { n: 4 }).expect("serialises")).await.expect_err("the queue is full");
    let set = rawops(&db.url(), &["queues", "set", "default", "--depth-limit", "none"]).await.ok().out;
    assert_eq!(set, "queue default takes as many jobs as come; 3 are ready now\n");
    client.enqueue(&NewJob::of(&NoOp { n: 4 }).expect("serialises")).await.expect("enqueued");
    for (command, what) in [("queues set", "queue"), ("pause queue", "queue"), ("limits set key", "limit key")] {
        let mut words: Vec<_> = command.split(' ').chain(["a\tb"]).collect();
        words.extend(if command == "queues set" { vec!["--depth-limit", "3"] } else { vec![] });
        words.extend(if command == "limits set key" { vec!["--at-once", "3"] } else { vec![] });
        let refused = rawops(&db.url(), &words).await;
        let sentence = format!("{what} \"a\\tb\": a name has 1 to 500 bytes, no control character, and no blank at either end");
        assert!(refused.code == 1 && refused.err.contains(&sentence), "{command}: {} {}", refused.code, refused.err);
    }
}
