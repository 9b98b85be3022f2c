//! Workflows without end: one begins anew, and what it owes stays.

use engine::{
    Client, Ending, Job, JobId, JobResult, Kinds, NewJob, Run,
    store::{doctor, workflow},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::error::DatabaseError;

use super::hand::count;
use super::jobs::{Running, of, until_state};
use super::workflows::{LIMIT, again, output, start, with_traces};
use crate::support::{
    Database,
    flows::{Act, Flow, trace},
    ledger, run_all, wait,
};

fn step(name: &str) -> Act {
    Act::Step(name.into())
}

fn go(timeout: Option<u64>) -> Act {
    Act::Wait("go".into(), "k".into(), timeout)
}

async fn names(db: &Database, id: JobId) -> Vec<String> {
    trace(db.pool(), id).await.into_iter().map(|(name, _)| name).collect()
}

/// The doctor finds no fault; it knows of attempts that are thinned out.
async fn sound(db: &Database) {
    let findings = doctor::examine(db.pool()).await.expect("examined");
    assert!(findings.iter().all(|finding| finding.severity != doctor::Severity::Fault), "{findings:?}");
}

#[tokio::test]
async fn a_workflow_that_begins_anew_again_and_again_keeps_a_short_history() {
    let db = with_traces().await;
    let id = start(&db, vec![Act::Rounds(100)]).await;
    let worker = Running::start(db.pool(), 1);
    assert_eq!(output(&db, id).await, json!([null]));
    worker.stop().await;
    assert_eq!(names(&db, id).await.len(), 100, "each round once");
    assert_eq!(count(db.pool(), "select count(*) from engine.step").await, 1);
    let at = count(db.pool(), "select position::bigint from engine.step where kind = 'continue'").await;
    assert_eq!(at, 200, "positions go on");
    let listed = workflow::list(db.pool(), None, Some("test.flow"), 10).await.expect("listed");
    assert_eq!(listed.iter().map(|one| (one.job_id, one.steps)).collect::<Vec<_>>(), [(id, 1)], "it is a workflow all the same");
    ledger::check(db.pool()).await;

    sqlx::query("update engine.attempt set finished_at = finished_at - interval '1 hour'").execute(db.pool()).await.expect("aged");
    let gone: i64 = sqlx::query_scalar("select engine.collapse_snoozes(array[$1])").bind(id).fetch_one(db.pool()).await.expect("thinned");
    assert_eq!((gone, count(db.pool(), "select count(*) from engine.attempt").await), (85, 16));
    sound(&db).await;
}

/// A workflow that would go on as another.
#[derive(Serialize, Deserialize)]
struct Turncoat {}

impl Job for Turncoat {
    const KIND: &'static str = "test.turncoat";

    async fn run(&self, run: &mut Run) -> JobResult {
        run.continue_as(&Flow { acts: Vec::new() }).await
    }
}

#[tokio::test]
async fn a_workflow_does_not_begin_anew_with_arguments_of_another_kind() {
    let db = with_traces().await;
    let job = of(&Turncoat {}).max_attempts(1);
    let client = Client::new(db.pool().clone());
    let id = client.enqueue(&job).await.expect("enqueued").id;
    run_all(&db, Kinds::new().with::<Turncoat>()).await;
    let ending = client.ending(id).await.expect("the job exists");
    let Some(Ending::Dead { category: Some(category), error: Some(error) }) = ending else { panic!("{ending:?}") };
    assert_eq!(
        (category.as_str(), error.as_str()),
        ("bug", "a workflow of kind test.turncoat begins anew with arguments of its own, and not with those of test.flow")
    );
}

#[tokio::test]
async fn attempts_that_ended_to_wait_are_thinned_while_the_workflow_lives() {
    let db = with_traces().await;
    sqlx::raw_sql(
        "create function test_long_ago() returns trigger language plpgsql as $$ begin
             new.started_at := new.started_at - interval '1 hour'; new.finished_at := new.finished_at - interval '1 hour'; return new;
         end $$;
         create trigger test_long_ago before insert on engine.attempt for each row execute function test_long_ago();",
    )
    .execute(db.pool())
    .await
    .expect("attempts end an hour ago");
    let id = start(&db, vec![Act::Rounds(100)]).await;
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "completed").await;
    worker.stop().await;
    let left = count(db.pool(), "select count(*) from engine.attempt").await;
    assert!((16..=32).contains(&left), "{left} of 101 attempts are left");
    sound(&db).await;
}

#[tokio::test]
async fn events_that_were_not_received_before_a_new_beginning_are_received_after_it() {
    let db = with_traces().await;
    let client = Client::new(db.pool().clone());
    for n in 1..=2 {
        client.emit("go", "k", &n, None).await.expect("emitted");
    }
    let id = start(&db, vec![go(None), Act::Continue(vec![Act::Continue(vec![go(None), go(Some(10))])])]).await;
    let worker = Running::start(db.pool(), 1);
    assert_eq!(output(&db, id).await, json!([2, null]), "each event once");
    worker.stop().await;
}

#[tokio::test]
async fn a_new_beginning_keeps_the_key_the_children_and_what_undoes_it() {
    let db = with_traces().await;
    let client = Client::new(db.pool().clone());
    let child = Flow { acts: vec![Act::Wait("never".into(), String::new(), None)] };
    let after = vec![Act::Undoable("b".into()), go(None), Act::Die];
    let flow = Flow { acts: vec![Act::Undoable("a".into()), Act::Leave(vec![child], false), Act::Continue(after)] };
    let job = of(&flow).unique_key("one").limit_key("house");
    let id = client.enqueue(&job).await.expect("enqueued").id;
    let worker = Running::start(db.pool(), 4);
    wait::until("it began anew and waits", LIMIT, || async {
        count(db.pool(), "select count(*) from engine.workflow_state where state = 'parked' and event = 'go' and steps = 3").await == 1
    })
    .await;
    let again = client.enqueue(&job).await.expect("asked");
    assert_eq!((again.id, again.created), (id, false), "it holds its key");
    assert_eq!(count(db.pool(), "select count(*) from engine.child").await, 1);
    client.emit("go", "k", &1, None).await.expect("emitted");
    until_state(db.pool(), id, "dead").await;
    wait::until("it is undone", LIMIT, || async {
        count(db.pool(), "select count(*) from engine.job_state where kind = 'engine.unwind' and state = 'completed'").await == 1
    })
    .await;
    worker.stop().await;
    let written: Vec<String> =
        sqlx::query_scalar("select name from test_trace order by n").fetch_all(db.pool()).await.expect("the trace can be read");
    assert_eq!(written, ["undo b", "undo a"]);
    assert_eq!(count(db.pool(), "select count(*) from engine.job_state where parent_id is not null and state = 'cancelled'").await, 1);
    ledger::check(db.pool()).await;
}

#[tokio::test]
async fn a_workflow_that_began_anew_is_requeued_as_what_it_was_last() {
    let db = with_traces().await;
    let id = start(&db, vec![step("a"), Act::Continue(vec![step("b"), Act::Die])]).await;
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "dead").await;
    let again = again(&db, id).await;
    until_state(db.pool(), again, "dead").await;
    worker.stop().await;
    assert_eq!((names(&db, id).await, names(&db, again).await.len()), (vec!["a".into(), "b".into()], 0), "it goes on where it failed");
    ledger::check(db.pool()).await;
}

#[tokio::test]
async fn a_workflow_that_began_anew_is_restarted_from_there_or_from_its_first_step() {
    let db = with_traces().await;
    let flow = Flow { acts: vec![step("a"), Act::Continue(vec![step("b"), step("c")])] };
    let id = Client::new(db.pool().clone()).enqueue(&NewJob::of(&flow).expect("it serialises")).await.expect("enqueued").id;
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "completed").await;
    let restart = async |from: i32| -> Result<JobId, sqlx::Error> {
        sqlx::query_scalar("select engine.restart_workflow($1, $2, 'ada')").bind(id).bind(from).fetch_one(db.pool()).await
    };
    for (from, does) in [(1, vec!["a", "b", "c"]), (3, vec!["b", "c"]), (4, vec!["c"]), (5, vec![])] {
        let again = restart(from).await.expect("restarted");
        until_state(db.pool(), again, "completed").await;
        assert_eq!(names(&db, again).await, does, "from step {from}");
        let left: Value = output(&db, again).await;
        assert_eq!(left.as_array().map(Vec::len), Some(2), "from step {from}");
    }
    for from in [2, 6] {
        let refused = restart(from).await.expect_err("it is refused");
        assert_eq!(refused.as_database_error().and_then(DatabaseError::code).as_deref(), Some("RW022"), "{refused}");
    }
    worker.stop().await;
    ledger::check(db.pool()).await;
}
