//! One test for each fault that the storage's prototype had, in its order: `fault_1` is the floor under a pinned
//! snapshot, `fault_17` the sweep that one bad row stopped. Faults 2, 3, 4 and 16 are shown with real processes in
//! `tests/faults` as well; fault 10 (limits) and 18 (workflows) belong to parts that do not exist yet.

use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::{
    Category, Client, JobId, NewJob, StoreError,
    store::{
        attempt::{self, Ended, Verdict},
        cancel_request::{self, Cancelled},
        claim::{self, Claimed, Orphan, Wanted},
        partition, scheduled, worker,
    },
};
use sqlx::{PgConnection, PgPool, pool::PoolConnection};

use super::jobs::{Running, of, state_of, until_state};
use crate::support::{
    Database,
    kinds::{self, Fail, NoOp},
    wait,
};

/// A worker moved by hand, statement by statement.
struct Hand {
    connection: PoolConnection<sqlx::Postgres>,
    id: i64,
    kinds: Vec<String>,
    queues: Vec<String>,
}

impl Hand {
    async fn new(pool: &PgPool) -> Self {
        let mut connection = pool.acquire().await.expect("a connection");
        let id = worker::register(&mut connection, "hand", 60_000, &serde_json::json!({})).await.expect("registered");
        Self { connection, id, kinds: kinds::kinds().names(), queues: vec!["default".into()] }
    }

    async fn take(&mut self, limit: i64) -> Vec<Claimed> {
        let wanted =
            Wanted { worker_id: self.id, kinds: &self.kinds, queues: &self.queues, limit, new_lane_quota: limit, ..Wanted::default() };
        claim::take(&mut self.connection, &wanted).await.expect("claimed").1
    }

    async fn settle(&mut self, ended: &[Ended]) -> Vec<(JobId, i32)> {
        let jitter = vec![1.0; ended.len()];
        let closing: Vec<i64> = ended.iter().map(|ended| ended.claim_id).collect();
        attempt::settle(&mut self.connection, self.id, ended, &jitter, &closing).await.expect("settled")
    }

    async fn complete(&mut self, ended: &[Ended]) -> Vec<(JobId, i32)> {
        let closing: Vec<i64> = ended.iter().map(|ended| ended.claim_id).collect();
        attempt::complete(&mut self.connection, self.id, ended, &closing).await.expect("completed")
    }

    async fn die(&mut self) {
        sqlx::query("update engine.worker set dead_at = engine.now() where id = $1")
            .bind(self.id)
            .execute(&mut *self.connection)
            .await
            .expect("declared dead");
    }
}

fn ended(job: &Claimed, verdict: Verdict) -> Ended {
    Ended {
        claim_id: job.claim_id,
        lane_id: job.lane_id,
        job_id: job.job_id,
        attempt: job.attempt,
        run_us: 10,
        unique_key: job.unique_key,
        verdict,
    }
}

fn failed(category: Category) -> Verdict {
    Verdict::Failed { category, message: "on purpose".into(), retry_after_ms: None }
}

fn done() -> Verdict {
    Verdict::Completed(serde_json::Value::Null)
}

async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.expect("a count")
}

async fn enqueue(pool: &PgPool, jobs: i64) -> Vec<JobId> {
    let jobs: Vec<NewJob> = (0..jobs).map(|n| of(&NoOp { n })).collect();
    Client::new(pool.clone()).enqueue_many(&jobs).await.expect("enqueued").into_iter().flatten().collect()
}

async fn due_now(pool: &PgPool) {
    sqlx::query("update engine.scheduled set run_at = engine.now() - interval '1 second'").execute(pool).await.expect("made due");
}

async fn promote(connection: &mut PgConnection) {
    scheduled::promote(connection, DateTime::<Utc>::UNIX_EPOCH, 1000).await.expect("promoted");
}

#[tokio::test]
async fn fault_1_a_claim_steps_over_no_dead_entries_under_a_pinned_snapshot() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let mut pin = db.pool().begin().await.expect("a transaction");
    sqlx::query("set transaction isolation level repeatable read").execute(&mut *pin).await.expect("set");
    count_in(&mut pin).await;
    for _ in 0..10 {
        enqueue(db.pool(), 2000).await;
        let jobs = hand.take(2000).await;
        let results: Vec<Ended> = jobs.iter().map(|job| ended(job, done())).collect();
        hand.complete(&results).await;
    }
    enqueue(db.pool(), 10).await;
    let (lane, floor): (i32, i64) = sqlx::query_as("select lane_id, min(position) - 1 from engine.ready group by lane_id")
        .fetch_one(db.pool())
        .await
        .expect("ten jobs are ready");
    let from_floor = buffers(db.pool(), lane, floor).await;
    let from_edge = buffers(db.pool(), lane, 0).await;
    assert!(from_floor * 5 < from_edge, "{from_floor} pages from the floor, {from_edge} from the left edge");
    pin.rollback().await.expect("rolled back");
}

async fn count_in(connection: &mut PgConnection) {
    sqlx::query("select count(*) from engine.ready").execute(connection).await.expect("a snapshot is taken");
}

/// How many pages the claim's index walk looks at.
async fn buffers(pool: &PgPool, lane: i32, floor: i64) -> i64 {
    let plan: serde_json::Value = sqlx::query_scalar(
        "explain (analyze, buffers, format json) select ctid from engine.ready where lane_id = $1 and position > $2 order by position limit 10",
    )
    .bind(lane)
    .bind(floor)
    .fetch_one(pool)
    .await
    .expect("explained");
    let node = &plan[0]["Plan"];
    node["Shared Hit Blocks"].as_i64().unwrap_or(0) + node["Shared Read Blocks"].as_i64().unwrap_or(0)
}

#[tokio::test]
async fn fault_1_a_job_whose_transaction_commits_late_is_found_below_the_floor() {
    let db = Database::new().await;
    let worker = Running::start(db.pool(), 4);
    let first = *enqueue(db.pool(), 1).await.last().expect("one job");
    until_state(db.pool(), first, "completed").await;
    let mut late = db.pool().begin().await.expect("a transaction");
    let late_job = engine::enqueue_in(&mut late, &of(&NoOp { n: -1 })).await.expect("enqueued").id;
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_millis(2500) {
        let last = *enqueue(db.pool(), 50).await.last().expect("fifty jobs");
        until_state(db.pool(), last, "completed").await;
    }
    late.commit().await.expect("committed");
    let committed = std::time::Instant::now();
    until_state(db.pool(), late_job, "completed").await;
    assert!(committed.elapsed() < Duration::from_secs(4), "found after {:?}", committed.elapsed());
    worker.stop().await;
}

#[tokio::test]
async fn fault_2_an_overdue_lease_alone_makes_nobody_dead() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    enqueue(db.pool(), 1).await;
    let job = hand.take(1).await.remove(0);
    sqlx::query("update engine.worker set lease_until = engine.now() - interval '1 hour'")
        .execute(db.pool())
        .await
        .expect("expired, as after an outage");
    assert!(claim::orphans(&mut hand.connection, 10).await.expect("read").is_empty(), "nobody has watched the lease yet");
    let seen = worker::leases(&mut hand.connection).await.expect("read").remove(0);
    assert!(seen.overdue);
    assert!(worker::renew(&mut hand.connection, hand.id, 2000).await.expect("renewed").is_some(), "it renews after the outage");
    assert!(!worker::declare_dead(&mut hand.connection, seen).await.expect("answered"), "the lease is no longer the one that was watched");
    assert!(hand.complete(&[ended(&job, done())]).await.is_empty(), "its result counts");
}

#[tokio::test]
async fn fault_3_neighbours_of_a_killer_are_not_blamed() {
    let db = Database::new().await;
    let ids = enqueue(db.pool(), 5).await;
    let rescue_all = async |hand: &mut Hand| {
        hand.die().await;
        for orphan in claim::orphans(&mut hand.connection, 10).await.expect("read") {
            claim::rescue(&mut hand.connection, orphan).await.expect("rescued");
        }
    };
    let mut first = Hand::new(db.pool()).await;
    assert_eq!(first.take(10).await.len(), 5);
    rescue_all(&mut first).await;
    assert_eq!(count(db.pool(), "select count(*) from engine.ready").await, 5, "lost once: ready again at once");
    let mut second = Hand::new(db.pool()).await;
    assert_eq!(second.take(10).await.len(), 5);
    rescue_all(&mut second).await;
    assert_eq!(count(db.pool(), "select count(*) from engine.scheduled where alone").await, 5, "lost twice: they run alone");
    let killer = ids[2];
    for round in 1..=3 {
        due_now(db.pool()).await;
        let mut hand = Hand::new(db.pool()).await;
        while let Some(job) = claim::take_alone(&mut hand.connection, hand.id, &hand.kinds, &hand.queues).await.expect("claimed") {
            if job.job_id == killer {
                break;
            }
            assert!(hand.complete(&[ended(&job, done())]).await.is_empty());
        }
        rescue_all(&mut hand).await;
        assert_eq!(state_of(db.pool(), killer).await, if round < 3 { "scheduled" } else { "dead" });
    }
    let letters: Vec<(JobId, String)> =
        sqlx::query_as("select job_id, category from engine.dead_letter_queue").fetch_all(db.pool()).await.expect("letters");
    assert_eq!(letters, [(killer, "poison".to_string())]);
    assert_eq!(count(db.pool(), "select count(*) from engine.job_state where state = 'completed'").await, 4);
}

#[tokio::test]
async fn fault_4_one_hung_transaction_keeps_only_its_own_job() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    enqueue(db.pool(), 4).await;
    let jobs = hand.take(4).await;
    let mut hung = db.pool().begin().await.expect("a transaction");
    assert!(claim::assert_held(&mut hung, hand.id, jobs[0].claim_id, jobs[0].job_id, 1).await.expect("asked"));
    attempt::complete_one(&mut hung, hand.id, jobs[0].job_id, 1, 0, &serde_json::Value::Null).await.expect("written, not committed");
    hand.die().await;
    let orphan = Orphan { worker_id: hand.id, id: jobs[0].claim_id };
    assert_eq!(claim::rescue(&mut hand.connection, orphan).await.expect("rescued"), 3);
    assert_eq!(state_of(db.pool(), jobs[0].job_id).await, "running", "its transaction may still commit");
    hung.rollback().await.expect("ended");
    assert_eq!(claim::rescue(&mut hand.connection, orphan).await.expect("rescued"), 1);
    assert_eq!(count(db.pool(), "select count(*) from engine.claim").await, 0);
}

#[tokio::test]
async fn fault_5_a_cancel_wins_over_claim_promote_and_a_failing_finish() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let mut hand = Hand::new(db.pool()).await;
    let cancel = async |id| cancel_request::cancel(db.pool(), id, "ann", None).await.expect("asked");

    let ready = client.enqueue(&of(&NoOp { n: 1 })).await.expect("enqueued").id;
    assert_eq!(cancel(ready).await, Cancelled::Cancelled);
    let later = client.enqueue(&of(&NoOp { n: 1 }).run_at(Utc::now() + Duration::from_hours(1))).await.expect("enqueued").id;
    assert_eq!(cancel(later).await, Cancelled::Cancelled);

    let fails = client.enqueue(&of(&Fail { category: "network".into(), times: 9 }).unique_key("k")).await.expect("enqueued").id;
    let job = hand.take(1).await.remove(0);
    assert_eq!(cancel(fails).await, Cancelled::Requested);
    assert_eq!(count(db.pool(), "select count(*) from engine.unique_key").await, 1, "a handler that still runs keeps its key");
    assert_eq!(
        worker::renew(&mut hand.connection, hand.id, 2000).await.expect("renewed"),
        Some(vec![fails]),
        "the lease brings the request"
    );
    hand.settle(&[ended(&job, failed(Category::Network))]).await;
    assert_eq!(state_of(db.pool(), fails).await, "cancelled", "a failure does not bring it back");
    assert_eq!(count(db.pool(), "select count(*) from engine.unique_key").await, 0);

    let due = client.enqueue(&of(&NoOp { n: 1 }).run_at(Utc::now() + Duration::from_hours(1))).await.expect("enqueued").id;
    sqlx::query("insert into engine.cancel_request (job_id, requested_by) values ($1, 'ann')")
        .bind(due)
        .execute(db.pool())
        .await
        .expect("asked");
    due_now(db.pool()).await;
    promote(&mut hand.connection).await;
    assert_eq!(state_of(db.pool(), due).await, "cancelled", "a promotion honours the request");

    assert_eq!(cancel(due).await, Cancelled::Already("cancelled".into()));
    assert!(matches!(cancel_request::cancel(db.pool(), JobId(999_999), "ann", None).await, Err(StoreError::NoSuchJob(_))));
}

#[tokio::test]
async fn fault_6_a_late_result_does_not_poison_the_batch() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    enqueue(db.pool(), 2).await;
    let jobs = hand.take(2).await;
    hand.settle(&[ended(&jobs[0], Verdict::Released)]).await;
    let again = hand.take(1).await.remove(0);
    assert_eq!((again.job_id, again.attempt), (jobs[0].job_id, 2));
    let late =
        hand.settle(&[ended(&jobs[0], failed(Category::Network)), ended(&again, failed(Category::Network)), ended(&jobs[1], done())]).await;
    assert_eq!(late, [(jobs[0].job_id, 1)], "the late one is told");
    assert_eq!(state_of(db.pool(), jobs[0].job_id).await, "scheduled");
    assert_eq!(state_of(db.pool(), jobs[1].job_id).await, "completed");
}

#[tokio::test]
async fn fault_7_an_idempotency_key_outlives_its_job() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let job = of(&NoOp { n: 1 }).idempotency_key("shop", "order 17");
    let first = client.enqueue(&job).await.expect("enqueued");
    assert_eq!(client.enqueue(&job).await.expect("answered").id, first.id, "before the job ended");
    let mut hand = Hand::new(db.pool()).await;
    let claimed = hand.take(1).await.remove(0);
    hand.complete(&[ended(&claimed, done())]).await;
    let again = client.enqueue(&job).await.expect("answered");
    assert_eq!((again.id, again.created), (first.id, false), "after the job ended");
    let other = client.enqueue(&of(&NoOp { n: 2 }).idempotency_key("shop", "order 17")).await;
    assert!(matches!(other, Err(StoreError::KeyReused(_))), "{other:?}");
    assert!(
        client.enqueue(&of(&NoOp { n: 2 }).idempotency_key("till", "order 17")).await.expect("enqueued").created,
        "another producer's key"
    );
}

#[tokio::test]
async fn fault_8_a_dead_letter_is_written_with_the_outcome() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let id = Client::new(db.pool().clone()).enqueue(&of(&NoOp { n: 1 }).unique_key("k").priority(3)).await.expect("enqueued").id;
    let job = hand.take(1).await.remove(0);
    hand.settle(&[ended(&job, failed(Category::Validation))]).await;
    let letter: (JobId, String, String, serde_json::Value, i32, i16, String) =
        sqlx::query_as("select job_id, topic, category, payload, attempts, priority, unique_key from engine.dead_letter_queue")
            .fetch_one(db.pool())
            .await
            .expect("a letter");
    assert_eq!(letter, (id, "test.no_op".into(), "validation".into(), serde_json::json!({ "n": 1 }), 1, 3, "k".into()));
    assert_eq!(count(db.pool(), "select count(*) from engine.unique_key").await, 0);
}

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
        claim::assert_held(connection, hand.id, job.claim_id, job.job_id, job.attempt).await.expect("asked")
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
    let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "explain {}",
        include_str!("../../engine/sql/claim/take.sql")
            .replace("$1", "1")
            .replace("$2", "'{test.no_op}'")
            .replace("$3", "'{default}'")
            .replace("$4", "100")
            .replace("$5", "'{1}'")
            .replace("$6", "'{0}'")
            .replace("$7", "'{100}'")
            .replace("$8", "100")
            .replace("$9", "0")
    )))
    .fetch_all(db.pool())
    .await
    .expect("explained");
    let plan = plan.join("\n");
    assert!(plan.contains("using ready_pkey on ready"), "{plan}");
    assert!(!plan.contains("Seq Scan on ready"), "{plan}");
    assert!(!plan.contains("Seq Scan on job_10000000"), "{plan}");
    let options: Vec<String> =
        sqlx::query_scalar("select unnest(reloptions) from pg_class where oid in ('engine.ready'::regclass, 'engine.scheduled'::regclass)")
            .fetch_all(db.pool())
            .await
            .expect("options");
    assert_eq!(options.iter().filter(|option| *option == "vacuum_truncate=off").count(), 2);
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

#[tokio::test]
async fn arguments_that_would_choke_every_claim_are_refused_at_the_producer() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let large = serde_json::value::to_raw_value(&"x".repeat(2 << 20)).expect("a string is JSON");
    let refused = client.enqueue(&NewJob::raw("test.no_op", large.clone())).await;
    assert!(matches!(refused, Err(StoreError::ArgumentsTooLarge)), "{refused:?}");
    let refused = client.enqueue_many(&[NewJob::raw("test.no_op", large)]).await;
    assert!(matches!(refused, Err(StoreError::ArgumentsTooLarge)), "{refused:?}");
    // Few bytes as stored, a gigabyte when written out.
    let swelling =
        sqlx::query("select * from engine.enqueue('test.no_op', (select jsonb_agg('1e131000'::numeric) from generate_series(1, 9000)))");
    assert!(swelling.execute(db.pool()).await.is_err());
    assert_eq!(count(db.pool(), "select count(*) from engine.job").await, 0);
}

#[tokio::test]
async fn a_duty_that_fails_for_ever_stops_no_rescue() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let id = enqueue(db.pool(), 1).await[0];
    hand.take(1).await;
    hand.die().await;
    sqlx::query("drop function engine.extend_partitions").execute(db.pool()).await.expect("damaged");
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "completed").await;
    worker.stop().await;
}

#[tokio::test]
async fn a_long_snooze_lasts_as_long_as_was_asked() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    enqueue(db.pool(), 1).await;
    let job = hand.take(1).await.remove(0);
    hand.settle(&[ended(&job, Verdict::Snoozed(7 * 86_400_000))]).await;
    assert_eq!(count(db.pool(), "select round(extract(epoch from run_at - engine.now()) / 3600)::bigint from engine.scheduled").await, 168);
}

#[tokio::test]
async fn a_completed_job_leaves_no_cancel_request_behind() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    let id = enqueue(db.pool(), 1).await[0];
    let job = hand.take(1).await.remove(0);
    assert_eq!(cancel_request::cancel(db.pool(), id, "ann", None).await.expect("asked"), Cancelled::Requested);
    assert_eq!(cancel_request::cancel(db.pool(), id, "bob", None).await.expect("asked again"), Cancelled::Requested);
    assert!(hand.complete(&[ended(&job, done())]).await.is_empty());
    assert_eq!(count(db.pool(), "select count(*) from engine.cancel_request").await, 0);
}
