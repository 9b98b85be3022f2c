//! What has ended goes when it is past its time, and nothing else does.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use engine::{
    Category, Client, JobId, NewJob,
    store::{partition, retention},
};
use sqlx::PgPool;

use super::hand::{Hand, count, done, ended, enqueue, failed};
use super::jobs::{of, state_of};
use crate::support::{Database, Login, clock, kinds::NoOp, ledger, wait};

const DAY: f64 = 86_400.0;

/// A database with a clock of its own and one job of each fate, in its first partition, which is full.
struct Aged {
    db: Database,
    completed: JobId,
    dead: JobId,
    ready: JobId,
    running: JobId,
    scheduled: JobId,
}

impl Aged {
    async fn new() -> Self {
        let db = Database::new().await;
        let pool = db.pool();
        clock::own(pool).await;
        let mut hand = Hand::new(pool).await;
        let ids = enqueue(pool, 3).await;
        let jobs = hand.take(2).await;
        hand.complete(&[ended(&jobs[0], done())]).await;
        hand.settle(&[ended(&jobs[1], failed(Category::Validation))]).await;
        hand.take(1).await;
        let later = of(&NoOp { n: 9 }).run_at(ledger::now(pool).await + Duration::from_hours(24 * 365));
        let scheduled = Client::new(pool.clone()).enqueue(&later).await.expect("enqueued").id;
        let ready = enqueue(pool, 1).await[0];
        sqlx::query("select setval('engine.position', 10000001)").execute(pool).await.expect("the first partition is full");
        Self { completed: ids[0], dead: ids[1], running: ids[2], ready, scheduled, db }
    }

    async fn known(&self, id: JobId) -> bool {
        sqlx::query_scalar(
            "select exists (select from engine.job where id = $1) and (select count(*) from engine.attempt where job_id = $1) > 0",
        )
        .bind(id)
        .fetch_one(self.db.pool())
        .await
        .expect("asked")
    }
}

async fn drop_expired(pool: &PgPool) -> Result<Option<i64>, sqlx::Error> {
    partition::drop_expired(&mut pool.acquire().await.expect("a connection")).await
}

/// As [`drop_expired`], asked again while a vacuum is in the way.
async fn dropped(pool: &PgPool) -> Option<i64> {
    let answer = Cell::new(None);
    let asking = wait::until("no vacuum is in the way", Duration::from_secs(20), async || match drop_expired(pool).await {
        Ok(bound) => {
            answer.set(bound);
            true
        }
        Err(error) => {
            let code = error.as_database_error().and_then(|error| error.code().map(|code| code.to_string()));
            assert!(code.as_deref() == Some("55P03"), "{error}");
            false
        }
    });
    // Large, and itself asked for again and again.
    Box::pin(asking).await;
    answer.get()
}

#[tokio::test]
async fn a_partition_of_a_hundred_thousand_jobs_that_wait_for_their_time_stays() {
    let db = Database::new().await;
    let pool = db.pool();
    clock::own(pool).await;
    let mut hand = Hand::new(pool).await;
    enqueue(pool, 3).await;
    let jobs = hand.take(2).await;
    hand.complete(&[ended(&jobs[0], done())]).await;
    clock::step(pool, 100.0 * DAY).await;
    hand.complete(&[ended(&jobs[1], done())]).await;
    let left = async || count(pool, "select count(*) from engine.attempt").await;
    let wait = "with new as (
            insert into engine.job (id, lane_id, args) select nextval('engine.position'), l.id, '{}' from engine.lane l, generate_series(1, 100001)
            returning id, lane_id)
        insert into engine.scheduled (job_id, lane_id, attempt, run_at) select id, lane_id, 1, engine.now() + interval '1 year' from new";
    sqlx::query(wait).execute(pool).await.expect("jobs of next year");
    sqlx::query("select setval('engine.position', 10000001)").execute(pool).await.expect("the first partition is full");
    assert_eq!((dropped(pool).await, left().await), (None, 1), "what ended long ago goes although another has just ended");
    clock::step(pool, 8.0 * DAY).await;
    assert_eq!((dropped(pool).await, left().await), (None, 0), "to move so many would stop every claim: what has ended goes by itself");
    sqlx::query("delete from engine.scheduled where job_id in (select max(job_id) from engine.scheduled)")
        .execute(pool)
        .await
        .expect("one less");
    sqlx::query("delete from engine.ready").execute(pool).await.expect("and another");
    assert_eq!(dropped(pool).await, Some(10_000_000));
    assert_eq!(count(pool, "select count(*) from engine.job_kept").await, 100_000);
}

#[tokio::test]
async fn a_partition_goes_when_all_that_completed_in_it_is_past_its_time() {
    let aged = Aged::new().await;
    let pool = aged.db.pool();
    assert_eq!(dropped(pool).await, None);
    clock::step(pool, 6.9 * DAY).await;
    assert_eq!(dropped(pool).await, None, "completed jobs are kept for seven days");
    clock::step(pool, 0.2 * DAY).await;
    assert_eq!(dropped(pool).await, Some(10_000_000));
    assert_eq!(count(pool, "select count(*) from pg_class where relname in ('job_10000000', 'attempt_10000000')").await, 0);
    assert!(!aged.known(aged.completed).await);
    assert!(aged.known(aged.dead).await, "the dead are kept longer");
    for (id, state) in [(aged.ready, "ready"), (aged.running, "running"), (aged.scheduled, "scheduled"), (aged.dead, "dead")] {
        assert_eq!(state_of(pool, id).await, state);
    }
    assert_eq!(dropped(pool).await, None, "the next one is not full");
    let findings = engine::store::doctor::examine(pool).await.expect("the doctor can look");
    assert!(findings.iter().all(|finding| finding.severity != engine::store::doctor::Severity::Fault), "{findings:?}");

    clock::step(pool, 90.0 * DAY).await;
    let forget = async || retention::forget_ended(&mut pool.acquire().await.expect("a connection"), 100).await.expect("asked");
    assert_eq!(forget().await, 1, "the dead one, from the kept rows");
    assert!(!aged.known(aged.dead).await);
    assert_eq!(count(pool, "select count(*) from engine.dead_letter_queue where not resolved").await, 1, "its letter waits for a person");
}

#[tokio::test]
async fn in_a_quiet_house_ended_jobs_go_one_by_one_and_nothing_else() {
    let aged = Aged::new().await;
    let pool = aged.db.pool();
    sqlx::query("select setval('engine.position', 5000)").execute(pool).await.expect("the partition is far from full");
    let forget = async || retention::forget_ended(&mut pool.acquire().await.expect("a connection"), 100).await.expect("asked");
    for id in [aged.completed, aged.dead] {
        for kept in [
            "insert into engine.step (job_id, position, attempt, kind, name, begun_at) values ($1, 1, 1, 'step', 'find', engine.now())",
            "insert into engine.child_end (parent_id, position, n, job_id, ended_at, outcome) values ($1, 1, 1, 1, engine.now(), 'completed')",
            "insert into engine.compensation (job_id, position, n, queue, kind, priority, args) values ($1, 1, 1, 'default', 'test.no_op', 4, '{}')",
            "insert into engine.progress (job_id, attempt, done, updated_at) values ($1, 1, 1, engine.now())",
            "insert into engine.log_line (job_id, position, attempt, logged_at, line) values ($1, 1, 1, engine.now(), 'found')",
        ] {
            sqlx::query(kept).bind(id).execute(pool).await.unwrap_or_else(|error| panic!("{kept}: {error}"));
        }
    }
    clock::step(pool, 6.9 * DAY).await;
    assert_eq!(forget().await, 0);
    clock::step(pool, 0.2 * DAY).await;
    // As if they had been claimed together, and one of them runs: a rescue would run what has no attempt again.
    let named = "update engine.claim set ids = array[$1::bigint, $2], attempts = '{1, 1}'";
    sqlx::query(named).bind(aged.completed).bind(aged.running).execute(pool).await.expect("widened");
    assert_eq!(forget().await, 0, "what a claim names stays");
    // Half of it is missing, as somebody may have written it.
    sqlx::query("update engine.claim set ids = array[$1::bigint, null], attempts = '{1, null}'")
        .bind(aged.running)
        .execute(pool)
        .await
        .expect("narrowed");
    assert_eq!((forget().await, forget().await), (1, 0));
    assert!(!aged.known(aged.completed).await && aged.known(aged.dead).await);
    let left = "select array[(select count(*) from engine.step), (select count(*) from engine.child_end),
        (select count(*) from engine.compensation), (select count(*) from engine.progress), (select count(*) from engine.log_line)]";
    let left: Vec<i64> = sqlx::query_scalar(left).fetch_one(pool).await.expect("counted");
    assert_eq!(left, [1; 5], "what a workflow did and what a job said go with it");
    assert_eq!(dropped(pool).await, None);
}

#[tokio::test]
async fn what_a_living_job_made_stays_as_long_as_it_lives() {
    let aged = Aged::new().await;
    let pool = aged.db.pool();
    let client = Client::new(pool.clone());
    sqlx::query("select setval('engine.position', 5000)").execute(pool).await.expect("set back");
    let of_living = client.enqueue(&of(&NoOp { n: 1 }).parent(aged.scheduled)).await.expect("enqueued").id;
    let of_ended = client.enqueue(&of(&NoOp { n: 2 }).parent(aged.completed)).await.expect("enqueued").id;
    let mut hand = Hand::new(pool).await;
    let jobs = hand.take(10).await;
    let ends: Vec<_> = jobs.iter().map(|job| ended(job, done())).collect();
    hand.complete(&ends).await;
    clock::step(pool, 8.0 * DAY).await;
    retention::forget_ended(&mut hand.connection, 100).await.expect("asked");
    assert!(aged.known(of_living).await && !aged.known(of_ended).await);
    sqlx::query("select setval('engine.position', 10000001)").execute(pool).await.expect("full");
    assert_eq!(dropped(pool).await, Some(10_000_000));
    assert!(aged.known(of_living).await);
}

#[tokio::test]
async fn a_job_that_commits_late_into_an_old_partition_is_not_lost() {
    let aged = Aged::new().await;
    let pool = aged.db.pool();
    sqlx::query("select setval('engine.position', 9000000)").execute(pool).await.expect("set");
    let mut late = pool.begin().await.expect("a transaction");
    let id = engine::enqueue_in(&mut late, &of(&NoOp { n: 1 })).await.expect("enqueued").id;
    sqlx::query("select setval('engine.position', 10000001)").execute(pool).await.expect("set");
    clock::step(pool, 8.0 * DAY).await;
    let refused = drop_expired(pool).await.expect_err("it is waited for");
    assert_eq!(refused.as_database_error().and_then(|error| error.code().map(|code| code.to_string())).as_deref(), Some("55P03"));
    late.commit().await.expect("committed");
    // The try before may still be being undone.
    wait::until("it goes", Duration::from_secs(20), async || dropped(pool).await == Some(10_000_000)).await;
    assert_eq!(state_of(pool, id).await, "ready");
}

#[tokio::test]
async fn a_long_reader_delays_the_drop_and_never_makes_claims_queue_behind_it() {
    let aged = Aged::new().await;
    let pool = aged.db.pool().clone();
    clock::step(&pool, 8.0 * DAY).await;
    let mut hand = Hand::new(&pool).await;
    // Were it completed today, the partition would stay for that.
    assert_eq!(hand.take(1).await[0].job_id, aged.ready);
    let mut reader = pool.begin().await.expect("a transaction");
    sqlx::query("select count(*) from engine.job, engine.attempt").execute(&mut *reader).await.expect("it reads, and goes on reading");
    let refused = Arc::new(AtomicU32::new(0));
    let trying = {
        let (pool, refused) = (pool.clone(), refused.clone());
        tokio::spawn(async move {
            loop {
                match drop_expired(&pool).await {
                    Ok(Some(bound)) => return bound,
                    // The try before is still being undone.
                    Ok(None) => continue,
                    Err(_) => refused.fetch_add(1, Ordering::AcqRel),
                };
            }
        })
    };
    let mut longest = Duration::ZERO;
    while refused.load(Ordering::Acquire) < 20 {
        assert!(!trying.is_finished(), "nothing is dropped while somebody reads");
        let begun = Instant::now();
        enqueue(&pool, 1).await;
        let jobs = hand.take(10).await;
        let ends: Vec<_> = jobs.iter().map(|job| ended(job, done())).collect();
        hand.complete(&ends).await;
        longest = longest.max(begun.elapsed());
    }
    println!("an enqueue, a claim and a completion took {longest:?} at most while the drop was tried");
    assert!(longest < Duration::from_secs(2), "each of the three waits 100 ms at most for a try that gives way: {longest:?}");
    reader.rollback().await.expect("ended");
    assert_eq!(trying.await.expect("no panic"), 10_000_000, "and then it went");
}

#[tokio::test]
async fn a_dead_letter_goes_after_its_job_and_only_when_it_is_dealt_with() {
    let aged = Aged::new().await;
    let pool = aged.db.pool();
    let mut connection = pool.acquire().await.expect("a connection");
    clock::step(pool, 400.0 * DAY).await;
    assert_eq!(retention::forget_letters(&mut connection, 100).await.expect("asked"), 0, "open ones are kept for ever");
    sqlx::query("update engine.dead_letter_queue set resolved = true, resolved_at = engine.now()").execute(pool).await.expect("resolved");
    clock::step(pool, 366.0 * DAY).await;
    assert_eq!(retention::forget_letters(&mut connection, 100).await.expect("asked"), 0, "its job is still in the ledger");
    assert_eq!(dropped(pool).await, Some(10_000_000));
    assert_eq!(retention::forget_letters(&mut connection, 100).await.expect("asked"), 1);

    sqlx::query("insert into engine.dead_letter_queue (source, topic, payload, created_at) values ('shop', 'x', '{}', engine.now() - interval '40 days')")
        .execute(pool)
        .await
        .expect("a letter of no job");
    retention::put(pool, "open_letters", Some(Duration::from_hours(24 * 30)), "a test").await.expect("set");
    assert_eq!(retention::forget_letters(&mut connection, 100).await.expect("asked"), 1, "unless the policy says otherwise");
}

#[tokio::test]
async fn workers_let_go_what_the_policy_lets_go_and_may_not_change_it() {
    let aged = Aged::new().await;
    let runtime = Login::of("rawops_runtime").await;
    let mut worker = runtime.connect(&aged.db).await;
    clock::step(aged.db.pool(), 6.0 * DAY).await;
    assert_eq!(partition::drop_expired(&mut worker).await.expect("it may ask"), None);
    for forbidden in [
        "select engine.retire_partition(10000000)",
        "select engine.retire_partition(10000000, true)",
        "drop table engine.job_10000000",
        "delete from engine.attempt",
        "delete from engine.job",
        "update engine.retention set kept = interval '1 hour'",
    ] {
        let refused = sqlx::query(forbidden).execute(&mut worker).await.expect_err(forbidden).to_string();
        assert!(refused.contains("permission denied") || refused.contains("must be owner"), "{forbidden}: {refused}");
    }
    let operator = Login::of("rawops_operator").await;
    let edit = "update engine.retention set kept = interval '1 day' where what = 'completed'";
    sqlx::query(edit).execute(&mut operator.connect(&aged.db).await).await.expect("operators decide");
    assert_eq!(partition::drop_expired(&mut worker).await.expect("it may ask"), Some(10_000_000), "an edit decides the next act");
    for nonsense in ["1 minute", "-1 days", "200 years"] {
        let edit = sqlx::query("update engine.retention set kept = $1::text::interval").bind(nonsense).execute(aged.db.pool()).await;
        assert!(edit.is_err(), "{nonsense}");
    }
}

#[tokio::test]
async fn every_table_whose_rows_are_replaced_has_a_vacuum_of_its_own() {
    let db = Database::new().await;
    // Facts are inserted once, settings are few; everything else turns over.
    let settled = "'queue', 'lane', 'retry_config', 'retry_override', 'retry_policy_history', 'retention', 'job_kept', 'attempt_kept',
                   'schedule', 'occurrence', 'dead_letter_queue', 'restart', 'pause', 'breaker_kind', 'kind'";
    let bare: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "select c.relname::text from pg_class c
         where c.relnamespace = 'engine'::regnamespace and c.relkind = 'r' and not c.relispartition and c.relname not in ({settled})
           and not coalesce(array_to_string(c.reloptions, ' ') like '%autovacuum_vacuum_threshold%', false)
         order by 1"
    )))
    .fetch_all(db.pool())
    .await
    .expect("the catalog can be read");
    assert!(bare.is_empty(), "say in a migration when autovacuum sweeps {bare:?}, or here that they do not turn over");
    let unsummarised: i64 = count(
        db.pool(),
        "select count(*) from pg_index x join pg_class c on c.oid = x.indexrelid join pg_am a on a.oid = c.relam
         where a.amname = 'brin' and c.relkind = 'i' and c.relnamespace = 'engine'::regnamespace
           and not coalesce('autosummarize=on' = any (c.reloptions), false)",
    )
    .await;
    assert_eq!(unsummarised, 0, "partitions that are made later too");
}

/// Partitions are made with every setting of those that the migration made.
#[tokio::test]
async fn a_partition_made_later_is_like_the_first() {
    let db = Database::new().await;
    let jobs: Vec<NewJob> = vec![of(&NoOp { n: 1 })];
    Client::new(db.pool().clone()).enqueue_many(&jobs).await.expect("enqueued");
    let mut connection = db.pool().acquire().await.expect("a connection");
    assert!(partition::extend(&mut connection, 1_000_000, 70_000_000).await.expect("made") > 0);
    let kinds: i64 = count(
        db.pool(),
        "select count(distinct coalesce(array_to_string(c.reloptions, ' '), '')) from pg_index x join pg_class c on c.oid = x.indexrelid
         join pg_am a on a.oid = c.relam where a.amname = 'brin' and x.indrelid::regclass::text ~ '^engine.attempt_[0-9]+$'",
    )
    .await;
    assert_eq!(kinds, 1);
}
