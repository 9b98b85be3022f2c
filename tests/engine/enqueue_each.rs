//! Jobs by the call of `engine.enqueue_each`: many of one kind, from SQL.

use serde_json::json;

use super::hand::count;
use crate::{
    orders::inbox::execute,
    support::{Database, shelf::rows},
};

#[tokio::test]
async fn each_element_becomes_a_job_at_its_time_and_in_its_trace() {
    let db = Database::new().await;
    let made = rows(
        db.pool(),
        "select engine.enqueue_each('test.no_op', 'mail', array['{\"n\": 1}', '{\"n\": 2}', '{\"n\": 3}']::jsonb[], array['a', null, 'c'],
             array[null, engine.now() + interval '1 hour', engine.now() - interval '1 hour'],
             array['00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', 'nonsense', null])",
    )
    .await;
    assert_eq!(made, json!([[3]]));
    let jobs = rows(
        db.pool(),
        "select j.queue, j.args -> 'n', j.unique_key, j.state, b.trace_parent is not null
         from engine.job_state j join engine.job b on b.id = j.id order by j.id",
    )
    .await;
    assert_eq!(jobs, json!([["mail", 1, "a", "ready", true], ["mail", 2, null, "scheduled", false], ["mail", 3, "c", "ready", false]]));
}

#[tokio::test]
async fn a_key_that_a_live_job_holds_or_that_comes_twice_makes_one_job() {
    let db = Database::new().await;
    let call = "select engine.enqueue_each('test.no_op', 'mail', array_fill('{}'::jsonb, array[3]), array['a', 'b', 'a'])";
    assert_eq!(rows(db.pool(), call).await, json!([[2]]));
    assert_eq!(rows(db.pool(), call).await, json!([[0]]));
    assert_eq!(count(db.pool(), "select count(*) from engine.job").await, 2);
    assert_eq!(count(db.pool(), "select count(*) from engine.ready").await, 2);
}

#[tokio::test]
async fn a_full_queue_refuses_new_jobs_and_not_those_that_are_there() {
    let db = Database::new().await;
    let of = |key: &str| format!("select engine.enqueue_each('test.no_op', 'mail', array['{{}}'::jsonb], array['{key}'])");
    execute(db.pool(), &of("a")).await;
    execute(db.pool(), "select engine.measure_figures(0)").await;
    execute(db.pool(), "insert into engine.queue (name, depth_limit) values ('mail', 1)").await;
    execute(db.pool(), &of("a")).await;
    let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(of("b"))).execute(db.pool()).await.expect_err("it is full");
    let refused = refused.as_database_error().expect("a refusal");
    assert_eq!(refused.code().as_deref(), Some("RW020"));
    assert_eq!(count(db.pool(), "select count(*) from engine.job").await, 1);
}

#[tokio::test]
async fn a_job_without_arguments_is_refused_by_name() {
    let db = Database::new().await;
    let call = "select engine.enqueue_each('test.no_op', 'mail', array['{}', null]::jsonb[], array['a', 'b'])";
    let refused = sqlx::query(call).execute(db.pool()).await.expect_err("one has no arguments");
    assert!(refused.to_string().contains("a job of kind test.no_op needs arguments: pass {} for none"), "{refused}");
}
