//! `rawops workers`: list.

use engine::store::worker;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::program::rawops;
use crate::support::Database;

async fn register(connection: &mut PgConnection, name: &str, info: &Value) -> i64 {
    worker::register(connection, name, 3_600_000, info).await.expect("registered")
}

async fn names(db: &Database, words: &[&str]) -> Vec<String> {
    let all: Vec<&str> = ["workers", "list", "--json"].iter().chain(words).copied().collect();
    let workers = rawops(&db.url(), &all).await.ok().json();
    workers.as_array().expect("a list").iter().map(|worker| worker["name"].as_str().expect("a name").to_string()).collect()
}

#[tokio::test]
async fn living_workers_are_listed_newest_last_and_the_dead_where_they_are_asked_for() {
    let db = Database::new().await;
    let url = db.url();
    assert_eq!(rawops(&url, &["workers", "list"]).await.ok().out, "no living workers: `rawops worker` starts one\n");
    assert_eq!(rawops(&url, &["workers", "list", "--all"]).await.ok().out, "no workers\n");
    assert_eq!(rawops(&url, &["workers", "list", "--json"]).await.ok().json(), json!([]));

    let mut connection = db.pool().acquire().await.expect("a connection");
    let info = json!({ "pid": 4711, "version": "1.2.3", "queues": ["default", "orders"], "kinds": ["test.no_op"] });
    register(&mut connection, "gone", &info).await;
    let asleep = register(&mut connection, "quiet", &info).await;
    register(&mut connection, "busy", &info).await;
    worker::sleep(&mut connection, asleep).await.expect("it sleeps");
    sqlx::query("update engine.worker set dead_at = engine.now() where name = 'gone'").execute(db.pool()).await.expect("declared dead");
    assert_eq!(names(&db, &[]).await, ["quiet", "busy"]);
    assert_eq!(names(&db, &["--all"]).await, ["gone", "quiet", "busy"]);
    assert_eq!(names(&db, &["--limit", "1"]).await, ["busy"]);

    let listed = rawops(&url, &["workers", "list", "--json"]).await.ok().json();
    assert_eq!((&listed[0]["id"], &listed[0]["info"]), (&json!(asleep.to_string()), &info));
    assert_eq!((&listed[0]["is_asleep"], &listed[1]["is_asleep"]), (&json!(true), &json!(false)));
    assert_eq!((&listed[0]["dead_at"], &listed[0]["is_overdue"]), (&Value::Null, &json!(false)));
    let table = rawops(&url, &["workers", "list", "--all"]).await.ok().out;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("ID") && lines.len() == 4, "{table}");
    assert!(lines[1].contains("declared dead at ") && lines[2].contains("asleep") && lines[3].contains("awake"), "{table}");
    assert!(["4711", "1.2.3", "default, orders", "test.no_op"].iter().all(|fact| lines[2].contains(fact)), "{table}");
}

#[tokio::test]
async fn a_worker_whose_lease_has_run_out_is_said_to_be_so_whatever_it_says_of_itself() {
    let db = Database::new().await;
    let mut connection = db.pool().acquire().await.expect("a connection");
    for info in [json!("nothing"), json!({ "pid": [], "kinds": { "a": 1 }, "queues": [null, 5] })] {
        register(&mut connection, "odd", &info).await;
    }
    sqlx::query("update engine.worker set lease_until = engine.now() - interval '1 minute'").execute(db.pool()).await.expect("set");
    let table = rawops(&db.url(), &["workers", "list"]).await.ok().out;
    assert_eq!(table.matches("its lease has run out").count(), 2, "{table}");
    let listed = rawops(&db.url(), &["workers", "list", "--json"]).await.ok().json();
    assert_eq!((&listed[0]["info"], &listed[0]["is_overdue"]), (&json!("nothing"), &json!(true)));
}
