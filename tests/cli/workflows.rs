//! `rawops workflows`: list, show, emit, restart.

use serde_json::{Value, json};

use super::program::rawops;
use crate::engine::workflows::{output, start, with_traces};
use crate::engine::{jobs::Running, jobs::until_state};
use crate::support::flows::{Act, trace};

fn wait(name: &str) -> Act {
    Act::Wait(name.into(), "7".into(), None)
}

#[tokio::test]
async fn operators_see_what_a_workflow_did_and_let_it_go_on() {
    let db = with_traces().await;
    let id = start(&db, vec![Act::Undoable("pay".into()), Act::Sleep(20), Act::Crowd(3), wait("approval")]).await;
    let worker = Running::start(db.pool(), 2);
    wait_until_parked(&db, id).await;
    let list = rawops(&db.url(), &["workflows", "list", "--state", "parked"]).await.ok().out;
    assert!(list.contains("test.flow") && list.contains("event approval of key 7"), "{list}");
    let shown = rawops(&db.url(), &["workflows", "show", &id.to_string()]).await.ok().out;
    for part in ["pay", "test.flow would undo it", "3 children ended, 0 open", "0 of 1 compensations are done", "sleep", "wait"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let said = rawops(&db.url(), &["workflows", "emit", "approval", "7", r#"{"by":"ada"}"#, "--once", "a"]).await.ok().out;
    assert!(said.ends_with("woke 1 workflow\n"), "{said}");
    assert_eq!(output(&db, id).await[3], json!({ "by": "ada" }));
    worker.stop().await;
    let again = rawops(&db.url(), &["workflows", "emit", "approval", "7", r#"{"by":"ada"}"#, "--once", "a"]).await.ok().out;
    assert!(again.contains("was emitted before"), "{again}");
    let timeline = rawops(&db.url(), &["workflows", "show", &id.to_string(), "--json"]).await.ok().json();
    let acts: Vec<&Value> = timeline["timeline"].as_array().expect("a list").iter().map(|act| &act["kind"]).collect();
    assert_eq!(acts, ["step", "sleep", "child", "join", "wait"]);
}

async fn wait_until_parked(db: &crate::support::Database, id: engine::JobId) {
    crate::support::wait::until("it waits for the event", crate::engine::workflows::LIMIT, || async {
        crate::support::ledger::count(db.pool(), "select count(*) from engine.workflow_state where event = 'approval'").await == 1
    })
    .await;
    until_state(db.pool(), id, "parked").await;
}

#[tokio::test]
async fn a_workflow_is_restarted_from_a_step_and_the_old_one_stays() {
    let db = with_traces().await;
    let step = |name: &str| Act::Step(name.into());
    let id = start(&db, vec![step("a"), step("b"), Act::Children(Vec::new()), step("c")]).await;
    let worker = Running::start(db.pool(), 1);
    output(&db, id).await;
    let said = rawops(&db.url(), &["workflows", "restart", &id.to_string(), "--from", "2", "--json"]).await.ok().json();
    let fresh = said["job_id"].as_str().expect("an id").parse().expect("an id");
    output(&db, fresh).await;
    let again: Vec<String> = trace(db.pool(), fresh).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(again, ["b", "c"]);
    assert_eq!(trace(db.pool(), id).await.len(), 3, "the old one stays as it was");
    let refused = rawops(&db.url(), &["workflows", "restart", &id.to_string(), "--from", "99"]).await;
    assert!(refused.code == 1 && refused.err.contains("has 5 steps: restart it from step 1 to 6"), "{}", refused.err);
    worker.stop().await;
}

#[tokio::test]
async fn a_dead_workflow_that_is_requeued_goes_on_where_it_failed() {
    let db = with_traces().await;
    sqlx::query("alter table test_trace add constraint closed check (name <> 'b')").execute(db.pool()).await.expect("a trap");
    let id = start(&db, vec![Act::Step("a".into()), Act::Step("b".into())]).await;
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "dead").await;
    sqlx::query("alter table test_trace drop constraint closed").execute(db.pool()).await.expect("mended");
    let fresh: i64 = sqlx::query_scalar("select engine.requeue_letter(id, 'ann') from engine.dead_letter_queue")
        .fetch_one(db.pool())
        .await
        .expect("requeued");
    output(&db, engine::JobId(fresh)).await;
    worker.stop().await;
    assert_eq!(trace(db.pool(), engine::JobId(fresh)).await, [("b".to_string(), 1)]);
}
