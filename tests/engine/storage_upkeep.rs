//! The faults of the storage's prototype from the ninth on: counting attempts, lanes, the dead, partitions, sweeps.

use std::time::Duration;

use chrono::Utc;
use engine::{
    Category, Client, NewJob,
    store::{
        attempt::Verdict,
        claim::{self, Claimed},
        partition, worker,
    },
};
use sqlx::PgConnection;

use super::hand::{Hand, count, done, due_now, ended, enqueue, failed, promote};
use super::jobs::{Running, of, state_of};
use crate::support::{
    Database,
    kinds::{self, Fail, NoOp},
    wait,
};

#[tokio::test]
async fn fault_9_the_policy_counts_failures_and_not_runs() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    sqlx::query("update engine.retry_config set max_attempts = 2 where error_category = 'network'")
        .execute(db.pool())
        .await
        .expect("edited");
    let id = enqueue(db.pool(), 1).await[0];
    let first = hand.take(1).await.remove(0);
    // As after 40,000 snoozes: a number that no smallint holds.
    sqlx::query("update engine.claim set attempts = '{40000}'").execute(db.pool()).await.expect("renumbered");
    let renumbered = Claimed { attempt: 40_000, ..first };
    hand.settle(&[ended(&renumbered, Verdict::Snoozed(0))]).await;
    for expected in ["scheduled", "dead"] {
        due_now(db.pool()).await;
        promote(&mut hand.connection).await;
        let job = hand.take(1).await.remove(0);
        assert!(job.attempt > 40_000);
        hand.settle(&[ended(&job, failed(Category::Network))]).await;
        assert_eq!(state_of(db.pool(), id).await, expected);
    }
}

#[tokio::test]
async fn fault_11_a_paused_kind_is_not_claimed_and_its_neighbours_are() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    enqueue(db.pool(), 3).await;
    Client::new(db.pool().clone()).enqueue(&of(&Fail { category: "network".into(), times: 0 })).await.expect("enqueued");
    sqlx::query("update engine.lane set paused = true where kind = 'test.no_op'").execute(db.pool()).await.expect("paused");
    let jobs = hand.take(10).await;
    assert_eq!(jobs.iter().map(|job| job.kind.as_str()).collect::<Vec<_>>(), ["test.fail"]);
    sqlx::query("update engine.lane set paused = false").execute(db.pool()).await.expect("resumed");
    sqlx::query("insert into engine.queue (name, paused) values ('default', true)").execute(db.pool()).await.expect("paused");
    assert!(hand.take(10).await.is_empty(), "a paused queue gives nothing");
}

#[tokio::test]
async fn fault_12_a_dead_worker_can_neither_claim_nor_renew_nor_write() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    enqueue(db.pool(), 2).await;
    let job = hand.take(1).await.remove(0);
    let held = async |connection: &mut PgConnection| {
        claim::assert_held(connection, hand.id, job.claim_id, job.job_id, job.attempt, None).await.expect("asked")
    };
    let mut tx = db.pool().begin().await.expect("a transaction");
    assert!(held(&mut tx).await, "while it lives");
    tx.rollback().await.expect("ended");
    sqlx::query("update engine.worker set dead_at = engine.now()").execute(db.pool()).await.expect("declared dead");
    let mut tx = db.pool().begin().await.expect("a transaction");
    assert!(!held(&mut tx).await, "a handler's transaction is refused at its start");
    tx.rollback().await.expect("ended");
    assert_eq!(worker::renew(&mut hand.connection, hand.id, 2000).await.expect("asked"), None, "death is final");
    assert!(hand.take(1).await.is_empty(), "it claims nothing");
    assert_eq!(count(db.pool(), "select count(*) from engine.ready").await, 1, "and takes nothing away");
}

#[tokio::test]
async fn fault_13_a_partition_is_dropped_and_what_lives_in_it_goes_on() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let ids = enqueue(db.pool(), 3).await;
    let ended_job = hand.take(1).await.remove(0);
    hand.complete(&[ended(&ended_job, done())]).await;
    let running = hand.take(1).await.remove(0);
    assert_eq!(partition::retire(db.pool(), 10_000_000).await.expect("retired"), 2, "one runs, one is ready");
    assert_eq!(count(db.pool(), "select count(*) from engine.job").await, 2);
    assert!(hand.complete(&[ended(&running, done())]).await.is_empty(), "the survivor's result is recorded");
    let last = hand.take(1).await.remove(0);
    assert_eq!(last.job_id, ids[2]);
    assert!(last.args.is_some(), "its description was kept");
    assert!(partition::extend(&mut hand.connection, 1_000_000, 61_000_000).await.expect("extended") > 0, "and partitions are made ahead");
}

#[tokio::test]
async fn fault_13_a_reader_delays_the_drop_and_not_the_claims() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    enqueue(db.pool(), 1).await;
    let mut reader = db.pool().begin().await.expect("a transaction");
    sqlx::query("select count(*) from engine.job").execute(&mut *reader).await.expect("read");
    let refused = partition::retire(db.pool(), 10_000_000).await.expect_err("the reader holds it");
    assert_eq!(refused.as_database_error().and_then(|error| error.code().map(|code| code.to_string())).as_deref(), Some("55P03"));
    assert_eq!(hand.take(1).await.len(), 1);
    reader.rollback().await.expect("ended");
}

#[tokio::test]
async fn fault_14_a_lost_result_keeps_its_claim_and_a_lost_job_is_called_missing() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    enqueue(db.pool(), 2).await;
    let jobs = hand.take(2).await;
    hand.complete(&[ended(&jobs[0], done())]).await;
    assert_eq!(count(db.pool(), "select count(*) from engine.claim").await, 1, "the worker's word is not enough");
    assert_eq!(state_of(db.pool(), jobs[1].job_id).await, "running");
    sqlx::query("delete from engine.claim").execute(db.pool()).await.expect("damaged");
    assert_eq!(state_of(db.pool(), jobs[1].job_id).await, "missing");
}

/// The plan of a statement with these values for $1, $2 and so on, as the tasks of a worker have it made.
async fn plan(db: &Database, statement: &str, values: &[&str]) -> String {
    let numbered = values.iter().enumerate().rev();
    let statement = numbered.fold(statement.to_string(), |text, (n, value)| text.replace(&format!("${}", n + 1), value));
    let mut connection = db.pool().acquire().await.expect("a connection");
    sqlx::query("set enable_seqscan = off").execute(&mut *connection).await.expect("set");
    let lines: Vec<String> =
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!("explain {statement}"))).fetch_all(&mut *connection).await.expect("explained");
    connection.close().await.expect("closed");
    lines.join("\n")
}

#[tokio::test]
async fn fault_15_recording_looks_at_its_own_jobs_only_however_many_there_are() {
    let db = Database::new().await;
    let none = [
        "1",
        "'{1,2}'",
        "'{1,1}'",
        "'{1,1}'",
        "'{failed,failed}'",
        "'{bug,bug}'",
        "'{x,x}'",
        "'{null,null}'",
        "'{0,0}'",
        "'{null,null}'",
        "'{1}'",
        "'{null,null}'",
        "'{null,null}'",
        "'{null,null}'",
        "'{1}'",
        "'{1}'",
        "'{1}'",
    ];
    let settle = plan(&db, include_str!("../../engine/sql/attempt/settle.sql"), &none).await;
    let rescue = plan(&db, include_str!("../../engine/sql/claim/rescue.sql"), &["1", "1", "null::bigint[]"]).await;
    for plan in [settle, rescue] {
        assert!(!plan.contains("Seq Scan on job_"), "{plan}");
    }
}

#[tokio::test]
async fn fault_15_the_claim_is_an_index_walk_however_deep_the_backlog() {
    let db = Database::new().await;
    enqueue(db.pool(), 1).await;
    sqlx::query(
        "insert into engine.ready (lane_id, attempt, position, job_id)
         select (select id from engine.lane limit 1), 1, n, n from generate_series(1000000, 1100000) n",
    )
    .execute(db.pool())
    .await
    .expect("a backlog");
    sqlx::query("analyze engine.ready").execute(db.pool()).await.expect("analysed");
    let take = include_str!("../../engine/sql/claim/take.sql");
    let plan = plan(
        &db,
        take,
        &["1", "'{test.no_op}'", "'{default}'", "100", "'{1}'", "'{0}'", "'{100}'", "100", "0", "'{0}'", "false", "'{32}'", "true"],
    )
    .await;
    assert_eq!(plan.matches("using ready_pkey on ready").count(), 2, "in front and from the floor: {plan}");
    assert!(!plan.contains("Seq Scan on ready") && !plan.contains("Seq Scan on waiting") && !plan.contains("Seq Scan on slot"), "{plan}");
    assert!(!plan.contains("Seq Scan on job_"), "{plan}");
    let options: Vec<String> =
        sqlx::query_scalar("select unnest(reloptions) from pg_class where oid in ('engine.ready'::regclass, 'engine.scheduled'::regclass)")
            .fetch_all(db.pool())
            .await
            .expect("options");
    assert_eq!(options.iter().filter(|option| *option == "vacuum_truncate=off").count(), 2);
}

#[tokio::test]
async fn fault_15_what_is_forgotten_of_gone_jobs_is_found_by_their_ids_and_not_by_looking_for_every_job() {
    let db = Database::new().await;
    for (statement, tables) in [
        (include_str!("../../engine/sql/note/prune.sql"), ["progress", "log_line"]),
        (include_str!("../../engine/sql/child/prune.sql"), ["child_end", "compensation"]),
    ] {
        let plan = plan(&db, statement, &["2000"]).await;
        assert!(tables.iter().all(|table| plan.contains(&format!("{table}_pkey"))), "{plan}");
        assert!(!plan.contains("job_10000000"), "{plan}");
    }
}

#[tokio::test]
async fn fault_16_long_jobs_are_not_hoarded() {
    let db = Database::new().await;
    let jobs: Vec<NewJob> = (0..40).map(|_| of(&kinds::Sleep { ms: 400 })).collect();
    Client::new(db.pool().clone()).enqueue_many(&jobs).await.expect("enqueued");
    let worker = Running::start(db.pool(), 4);
    wait::until("the first have ended", Duration::from_secs(10), || async {
        count(db.pool(), "select count(*) from engine.attempt").await >= 8
    })
    .await;
    let held = count(db.pool(), "select 40 - (select count(*) from engine.ready) - (select count(*) from engine.attempt)").await;
    assert!(held <= 4 + 4, "{held} held at concurrency 4");
    worker.stop().await;
}

#[tokio::test]
async fn fault_17_one_bad_row_does_not_stop_the_promotion_of_the_others() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(client.enqueue(&of(&NoOp { n }).run_at(Utc::now() + Duration::from_hours(1))).await.expect("enqueued").id);
    }
    // The second stands in `ready` already, by somebody's hand.
    sqlx::query("insert into engine.ready (lane_id, attempt, position, job_id) select lane_id, 1, nextval('engine.position'), job_id from engine.scheduled where job_id = $1")
        .bind(ids[1])
        .execute(db.pool())
        .await
        .expect("damaged");
    due_now(db.pool()).await;
    let mut connection = db.pool().acquire().await.expect("a connection");
    promote(&mut connection).await;
    assert_eq!(count(db.pool(), "select count(*) from engine.ready").await, 3);
    assert_eq!(count(db.pool(), "select count(*) from engine.scheduled").await, 0);

    // A row that no statement can move: its neighbours go one by one.
    sqlx::query("alter table engine.ready add constraint ready_refuses check (job_id <> 999)").execute(db.pool()).await.expect("a trap");
    sqlx::query("insert into engine.scheduled (run_at, job_id, lane_id, attempt) select engine.now() - interval '1 minute', n, (select min(id) from engine.lane), 1 from generate_series(998, 1000) n")
        .execute(db.pool())
        .await
        .expect("three due rows");
    let worker = Running::start(db.pool(), 1);
    wait::until("two of three are promoted", Duration::from_secs(10), || async {
        count(db.pool(), "select count(*) from engine.scheduled where job_id in (998, 1000)").await == 0
    })
    .await;
    worker.stop().await;
    assert_eq!(count(db.pool(), "select count(*) from engine.scheduled where job_id = 999").await, 1, "the bad one stays where it is");
}
