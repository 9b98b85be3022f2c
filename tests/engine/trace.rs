//! Traces: a job belongs to that of its producer, and so does what it makes.

use std::time::Duration;

use engine::{Client, Job, JobId, JobResult, Kinds, NewJob, Outcome, Run, Tx, WorkerConfig, trace};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgPool;

use super::hand::count;
use super::jobs::{Running, of, until_state};
use crate::support::{
    Database,
    flows::{self, Act, Flow},
    kinds::{self, NoOp},
    run_all, wait,
};

const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OTHER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
/// With what systems on the way have noted, in which COPY has to escape something.
const NOTED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 rojo=00f067\\nt,congo=t61rcWkgMzE";

/// The trace of each job, in the order in which they were made.
async fn traces(pool: &PgPool) -> Vec<Option<String>> {
    sqlx::query_scalar("select trace_parent from engine.job order by id").fetch_all(pool).await.expect("jobs can be read")
}

async fn trace_of(pool: &PgPool, id: JobId) -> Option<String> {
    sqlx::query_scalar("select trace_parent from engine.job where id = $1").bind(id).fetch_one(pool).await.expect("the job is there")
}

#[tokio::test]
async fn a_job_keeps_the_trace_that_is_said_or_that_of_its_producer() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let job = of(&NoOp { n: 1 });
    let said = job.clone().trace_parent(GIVEN);
    trace::within(OTHER.parse().ok(), async {
        client.enqueue(&said).await.expect("enqueued");
        client.enqueue(&job).await.expect("enqueued");
        client.enqueue_many(&[said.clone(), job.clone()]).await.expect("enqueued");
        client.enqueue_copy(&[said.clone(), job.clone()]).await.expect("copied");
    })
    .await;
    client.enqueue(&job.clone().trace_parent("of no use")).await.expect("a trace is no reason to refuse a job");
    client.enqueue_many(std::slice::from_ref(&job)).await.expect("enqueued");
    let [given, other] = [GIVEN, OTHER].map(|trace| Some(trace.to_string()));
    assert_eq!(traces(db.pool()).await, [given.clone(), other.clone(), given.clone(), other.clone(), given, other, None, None]);
}

#[tokio::test]
async fn what_systems_noted_on_the_way_is_kept_however_a_job_is_enqueued() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let job = of(&NoOp { n: 1 });
    trace::within(NOTED.parse().ok(), async {
        client.enqueue(&job).await.expect("enqueued");
        client.enqueue_many(std::slice::from_ref(&job)).await.expect("enqueued");
        client.enqueue_copy(std::slice::from_ref(&job)).await.expect("copied");
        client.emit("made", "", &(), None).await.expect("emitted");
    })
    .await;
    client.enqueue(&job.clone().trace_parent(NOTED)).await.expect("enqueued");
    client.enqueue(&job.trace_parent(&format!("{GIVEN} of no use"))).await.expect("what is noted is no reason to refuse a job");
    let [noted, given] = [NOTED, GIVEN].map(|trace| Some(trace.to_string()));
    assert_eq!(traces(db.pool()).await, [noted.clone(), noted.clone(), noted.clone(), noted.clone(), given]);
    let event: Option<String> = sqlx::query_scalar("select trace_parent from engine.event").fetch_one(db.pool()).await.expect("one event");
    assert_eq!(event, noted);
}

#[tokio::test]
async fn sql_keeps_the_headers_that_rust_keeps() {
    let db = Database::new().await;
    let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    for header in [
        GIVEN.to_string(),
        format!("00-{trace}-{span}-01-more"),
        format!("00-{trace}-{span}-1"),
        format!("00-{trace}-{span}-01\n"),
        format!("00-{}-{span}-01", trace.to_uppercase()),
        format!("00-{}-{span}-01", "0".repeat(32)),
        format!("00-{trace}-{}-01", "0".repeat(16)),
        format!("01-{trace}-{span}-01"),
        format!("cc-{trace}-{span}-01-more"),
        format!("cc-{trace}-{span}-01more"),
        format!("ff-{trace}-{span}-01"),
        String::new(),
        format!("{GIVEN} congo=t61rcWkgMzE"),
        format!("{GIVEN} {}", ["a", "b", "c"].map(|key| format!("{key}={}", "x".repeat(168))).join(",")),
        format!("{GIVEN} {}", ["a", "b", "c"].map(|key| format!("{key}={}", "x".repeat(169))).join(",")),
        format!("{GIVEN} congo"),
        format!("{GIVEN} congo=\n"),
        format!("{GIVEN} congo=\u{e4}"),
        format!("{GIVEN} "),
        format!("cc-{trace}-{span}-01 congo=t61rcWkgMzE"),
        format!("cc-{trace}-{span}-01-more congo=t61rcWkgMzE"),
        format!("00-{trace}-{span}-01-more congo=t61rcWkgMzE"),
    ] {
        let kept: Option<String> =
            sqlx::query_scalar("select engine.trace_parent($1)").bind(&header).fetch_one(db.pool()).await.expect("it is asked");
        let read = |text: &str| text.parse::<trace::TraceParent>().ok();
        assert_eq!(kept.as_deref().map(|kept| read(kept).expect("a header").text()), read(&header).map(|trace| trace.text()), "{header:?}");
        assert!(kept.is_none_or(|kept| kept.starts_with("00-") && kept.len() <= 569), "{header:?}");
    }
}

/// Makes jobs in all the ways that a handler has.
#[derive(Serialize, Deserialize)]
struct Make {}

impl Job for Make {
    const KIND: &'static str = "test.make";

    async fn run(&self, run: &mut Run) -> JobResult {
        let job = NewJob::of(&NoOp { n: 1 })?;
        Client::new(run.pool().clone()).enqueue(&job).await?;
        let mut tx = run.begin().await?;
        run.enqueue_in(&mut tx, &job).await?;
        sqlx::query("insert into test_row values (1)").execute(&mut *tx).await?;
        tx.commit().await?;
        let child = run.child("child", &job).await?;
        run.join(&child).await?;
        run.step("step", async |tx: &mut Tx| {
            sqlx::query("insert into test_row values (2)").execute(&mut **tx).await?;
            Ok(())
        })
        .await?;
        run.emit("made", "", &()).await?;
        Ok(Outcome::Done(json!(run.trace_parent())))
    }
}

#[tokio::test]
async fn what_an_attempt_makes_belongs_to_its_trace() {
    let db = Database::new().await;
    sqlx::raw_sql(
        "create table test_row (n integer);
         create function test_enqueue() returns trigger language plpgsql as
             $$ begin perform engine.enqueue('test.no_op', '{\"n\": 2}'); return null; end $$;
         create trigger test_enqueue after insert on test_row for each row execute function test_enqueue();",
    )
    .execute(db.pool())
    .await
    .expect("a table with a trigger");
    let id = Client::new(db.pool().clone()).enqueue(&of(&Make {}).trace_parent(NOTED)).await.expect("enqueued").id;
    run_all(&db, Kinds::new().with::<Make>().with::<NoOp>()).await;
    // Its own, and those by the client, by the run, by the trigger, by the workflow, and by the trigger in a step; more when
    // the first attempt had to wait for the child.
    let found = traces(db.pool()).await;
    assert!(found.len() >= 6 && found.iter().all(|trace| trace.as_deref() == Some(NOTED)), "{found:?}");
    let output: String = sqlx::query_scalar("select output #>> '{}' from engine.attempt where job_id = $1 and outcome = 'completed'")
        .bind(id)
        .fetch_one(db.pool())
        .await
        .expect("it completed");
    assert_eq!(output, NOTED, "what it hands to other systems");
    let event: Option<String> = sqlx::query_scalar("select trace_parent from engine.event").fetch_one(db.pool()).await.expect("one event");
    assert_eq!(event.as_deref(), Some(NOTED));
}

/// Makes a job in a step.
#[derive(Serialize, Deserialize)]
struct MakeInStep {}

impl Job for MakeInStep {
    const KIND: &'static str = "test.make_in_step";

    async fn run(&self, run: &mut Run) -> JobResult {
        let job = NewJob::of(&NoOp { n: 1 })?;
        let made = run.step("make", async |tx: &mut Tx| Ok(tx.enqueue(&job).await?.id)).await?;
        Ok(Outcome::Done(json!(made)))
    }
}

#[tokio::test]
async fn a_job_that_a_step_makes_has_its_parent_and_its_trace() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let id = client.enqueue(&of(&MakeInStep {}).trace_parent(NOTED)).await.expect("enqueued").id;
    run_all(&db, Kinds::new().with::<MakeInStep>().with::<NoOp>()).await;
    let made: Vec<(JobId, Option<JobId>, Option<String>)> =
        sqlx::query_as("select id, parent_id, trace_parent from engine.job where id <> $1")
            .bind(id)
            .fetch_all(db.pool())
            .await
            .expect("jobs can be read");
    let [(made, parent, trace)] = &made[..] else { panic!("one job was made: {made:?}") };
    assert_eq!((*parent, trace.as_deref()), (Some(id), Some(NOTED)));
    let ending = client.ending(id).await.expect("it can be asked").expect("it has ended");
    assert_eq!(ending.output::<JobId>().expect("it is an id"), Some(*made));
}

#[tokio::test]
async fn what_is_undone_and_run_again_carries_on_the_trace() {
    let db = Database::new().await;
    flows::make_trace_table(db.pool()).await;
    let client = Client::new(db.pool().clone());
    let dying = Flow { acts: vec![Act::Undo("undo".into()), Act::Die] };
    client.enqueue(&of(&dying).trace_parent(NOTED)).await.expect("enqueued");
    let first = client.enqueue(&of(&Flow { acts: vec![Act::Step("a".into())] }).trace_parent(OTHER)).await.expect("enqueued").id;
    let worker = Running::start(db.pool(), 4);
    wait::until("it is undone", Duration::from_secs(30), || async {
        count(db.pool(), "select count(*) from engine.job_state where kind = 'engine.unwind' and state = 'completed'").await == 1
    })
    .await;
    until_state(db.pool(), first, "completed").await;
    worker.stop().await;
    let of_first = traces(db.pool()).await.into_iter().filter(|trace| trace.as_deref() == Some(NOTED)).count();
    assert_eq!(of_first, 3, "the workflow, what undoes it, and the job that did");

    let letter: uuid::Uuid = sqlx::query_scalar("select id from engine.dead_letter_queue").fetch_one(db.pool()).await.expect("one letter");
    let again: JobId =
        sqlx::query_scalar("select engine.requeue_letter($1, 'ada')").bind(letter).fetch_one(db.pool()).await.expect("requeued");
    assert_eq!(trace_of(db.pool(), again).await.as_deref(), Some(NOTED));
    let restarted: JobId =
        sqlx::query_scalar("select engine.restart_workflow($1, 1, 'ada')").bind(first).fetch_one(db.pool()).await.expect("restarted");
    assert_eq!(trace_of(db.pool(), restarted).await.as_deref(), Some(OTHER));
}

#[tokio::test]
async fn a_batch_and_what_it_calls_back_belong_to_its_producers_trace() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let callback = NewJob::raw("test.tick", serde_json::value::to_raw_value(&json!({})).expect("it is JSON"));
    let batched = trace::within(GIVEN.parse().ok(), async {
        client.enqueue_batch(&[of(&NoOp { n: 1 }), of(&NoOp { n: 2 }).trace_parent(OTHER)], &callback).await.expect("enqueued")
    })
    .await;
    let worker = Running::with(db.pool(), kinds::kinds(), WorkerConfig::default());
    until_state(db.pool(), batched.id, "completed").await;
    worker.stop().await;
    let found = traces(db.pool()).await;
    let [given, other] = [GIVEN, OTHER].map(|trace| Some(trace.to_string()));
    assert_eq!(found, [given.clone(), given.clone(), other, given]);
}
