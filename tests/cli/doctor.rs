//! `rawops doctor`: a ledger that keeps its promises, and one broken promise at a time.

use std::time::Duration;

use engine::{Client, NewJob, Worker, WorkerConfig, store::doctor};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::program::rawops;
use crate::support::{
    Database,
    kinds::{self, Fail, NoOp},
    ledger::count,
    run_all,
    wait::until,
};

/// A ledger in which something happened: completed, retried and dead jobs, a ready and a scheduled one, both with a
/// unique key, and a worker that lives.
async fn lived_in() -> Database {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let no_op = NewJob::of(&NoOp { n: 1 }).expect("the arguments are JSON");
    let fail = |category: &str, times| NewJob::of(&Fail { category: category.into(), times }).expect("the arguments are JSON");
    client.enqueue_many(&[no_op.clone(), no_op.clone(), fail("conflict", 1), fail("validation", 9)]).await.expect("the queue takes jobs");
    run_all(&db, kinds::kinds()).await;
    let at = "2100-01-01T00:00:00Z".parse().expect("a moment");
    client
        .enqueue_many(&[no_op.clone().unique_key("ready"), no_op.unique_key("scheduled").run_at(at)])
        .await
        .expect("the queue takes jobs");
    sqlx::query(
        "insert into engine.worker (name, lease_until, started_at, info)
         values ('alive', engine.now() + interval '1 hour', engine.now() - interval '1 hour', '{\"kinds\": [\"test.no_op\"], \"queues\": [\"default\"]}')",
    )
    .execute(db.pool())
    .await
    .expect("a worker can be noted");
    db
}

async fn report(db: &Database) -> (i32, serde_json::Value) {
    let answer = rawops(&db.url(), &["doctor", "--json"]).await;
    (answer.code, answer.json())
}

#[tokio::test]
async fn a_ledger_that_keeps_its_promises_is_clean() {
    let db = lived_in().await;
    let (code, report) = report(&db).await;
    assert_eq!((code, report), (0, serde_json::json!({ "faults": 0, "warnings": 0, "findings": [] })));
    let said = rawops(&db.url(), &["doctor"]).await.ok().out;
    assert!(said.starts_with(&format!("0 faults, 0 warnings by {} checks in ", doctor::checks().count())), "{said}");
}

#[tokio::test]
async fn an_empty_database_is_clean() {
    let db = Database::new().await;
    assert_eq!(report(&db).await.0, 0);
}

#[tokio::test]
async fn jobs_on_the_move_are_no_fault() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let jobs: Vec<NewJob> = (0..4_000)
        .map(|n| NewJob::of(&NoOp { n }).expect("the arguments are JSON").unique_key(n.to_string()))
        .chain((0..500).map(|_| NewJob::of(&Fail { category: "conflict".into(), times: 2 }).expect("the arguments are JSON")))
        .collect();
    client.enqueue_many(&jobs).await.expect("the queue takes jobs");
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(db.pool().clone(), kinds::kinds(), WorkerConfig::default()).run(stop.clone()));
    let mut looks = 0;
    let ended = || async { count(db.pool(), "select count(*) from engine.attempt where outcome = 'completed'").await == 4_500 };
    while !ended().await {
        let findings = doctor::examine(db.pool()).await.expect("the database answers");
        assert!(findings.is_empty(), "{findings:?}");
        looks += 1;
    }
    assert!(looks > 0, "the doctor looked while jobs moved");
    stop.cancel();
    worker.await.expect("the worker does not panic").expect("its configuration is right");
    until("every claim is closed", Duration::from_secs(5), async || doctor::examine(db.pool()).await.is_ok_and(|found| found.is_empty()))
        .await;
}

/// Does damage by statements of which the last returns the job, if it is about one, and expects the doctor to name it.
async fn finds(check: &str, severity: &str, damage: &[&'static str]) {
    assert!(doctor::checks().any(|known| known == check), "there is no check {check}");
    let db = lived_in().await;
    let job = damaged(db.pool(), damage).await;
    let (code, report) = report(&db).await;
    let findings = report["findings"].as_array().expect("a list");
    let found = findings.iter().find(|finding| finding["check"] == check).unwrap_or_else(|| panic!("{check} is not found: {report:#}"));
    assert_eq!(
        (found["severity"].as_str(), found["job_id"].as_str()),
        (Some(severity), job.map(|id| id.to_string()).as_deref()),
        "{found}"
    );
    let faults = findings.iter().any(|finding| finding["severity"] == "fault");
    assert_eq!(code, i32::from(faults), "{report:#}");
    let table = rawops(&db.url(), &["doctor"]).await.out;
    assert!(table.contains(check) && table.contains(found["detail"].as_str().expect("words")), "{table}");
}

async fn damaged(pool: &PgPool, damage: &[&'static str]) -> Option<i64> {
    let (last, before) = damage.split_last().expect("some damage");
    for statement in before {
        sqlx::query(*statement).execute(pool).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    sqlx::query_scalar(*last).fetch_one(pool).await.unwrap_or_else(|error| panic!("{last}: {error}"))
}

macro_rules! a_broken_promise_is_found {
    ($($check:ident $severity:ident $damage:expr;)*) => {
        $(
            #[tokio::test]
            async fn $check() {
                finds(stringify!($check), stringify!($severity), &$damage).await;
            }
        )*

        #[test]
        fn every_check_is_tested() {
            let mut tested = vec![$(stringify!($check)),*];
            let mut checks: Vec<&str> = doctor::checks().collect();
            tested.sort_unstable();
            tested.dedup();
            checks.sort_unstable();
            assert_eq!(tested, checks);
        }
    };
}

a_broken_promise_is_found! {
    job_missing fault ["delete from engine.ready returning job_id"];
    job_in_two_places fault [
        "insert into engine.scheduled (run_at, job_id, lane_id, attempt)
         select engine.now() + interval '1 hour', job_id, lane_id, attempt from engine.ready returning job_id"
    ];
    place_without_job fault ["delete from engine.job where id in (select job_id from engine.ready) returning id"];
    lane_missing fault ["update engine.ready set lane_id = 4711 returning job_id"];
    attempt_number_wrong fault ["update engine.scheduled set attempt = 3 returning job_id"];
    attempts_with_gap fault ["update engine.attempt set attempt = 5 where attempt = 2 returning job_id"];
    attempt_after_final fault [
        "insert into engine.attempt (job_id, attempt, started_at, finished_at, outcome)
         select job_id, 2, finished_at, finished_at, 'completed' from engine.attempt
         where outcome = 'completed' and attempt = 1 order by job_id limit 1 returning job_id"
    ];
    lost_alone_too_often fault [
        "update engine.ready set attempt = 5",
        "insert into engine.attempt (job_id, attempt, started_at, finished_at, outcome, category)
         select job_id, n, engine.now(), engine.now(), 'lost', 'poison' from engine.ready, generate_series(1, 4) n",
        "select job_id from engine.ready"
    ];
    dead_without_letter fault ["delete from raw_ops.dead_letter_queue returning job_id"];
    letter_without_dead fault [
        "insert into engine.dead_letter_queue (source, topic, payload, job_id)
         select 'engine', 'test.no_op', '{}', job_id from engine.ready returning job_id"
    ];
    unique_key_of_ended_job fault [
        "insert into engine.unique_key (kind, key, job_id) select 'test.no_op', 'old', min(job_id) from engine.attempt returning job_id"
    ];
    attempts_without_end warning ["update engine.scheduled set attempt = 1000 returning job_id"];
    unique_key_not_held fault ["delete from engine.unique_key where key = 'scheduled' returning job_id"];
    slot_missing fault [
        "with made as (select id from engine.enqueue('test.no_op', '{\"n\": 1}', limit_key => 'one'))
         insert into engine.ready (lane_id, attempt, position, job_id)
         select min(l.id), 1, m.id, m.id from made m, engine.lane l where l.kind = 'test.no_op' group by m.id",
        "delete from engine.waiting returning job_id"
    ];
    permit_without_run fault ["insert into engine.permit (claim_id, setting_id, jobs) values (4711, 1, 3) returning null::bigint"];
    slot_without_live_job fault [
        "insert into engine.slot (limit_key, n, job_id) select 'one', 1, min(job_id) from engine.attempt returning job_id"
    ];
    slot_free_and_waited_for fault [
        "select engine.enqueue('test.no_op', '{\"n\": 1}', limit_key => 'one')",
        "update engine.job set created_at = engine.now() - interval '1 minute' where limit_key = 'one' returning id"
    ];
    breaker_stuck warning [
        "insert into engine.breaker_kind (kind, system) values ('test.no_op', 'a system')",
        "insert into engine.breaker (system, state, probe_at) values ('a system', 'open', engine.now() - interval '2 minutes') returning null::bigint"
    ];
    slots_over_cap warning [
        "insert into engine.limit_setting (scope, name, cap, changed_by) values ('key', 'one', 1, 'a test')",
        "insert into engine.slot (limit_key, n, job_id) select 'one', 2, 0",
        "insert into engine.slot (limit_key, n, job_id) select 'one', 1, job_id from engine.ready",
        "select 0::bigint"
    ];
    cancel_of_ended_job fault [
        "insert into engine.cancel_request (job_id, requested_by) select min(job_id), 'a test' from engine.attempt returning job_id"
    ];
    claim_of_dead_worker fault [
        "insert into engine.claim (worker_id, claimed_at, ids, attempts)
         select 4711, engine.now() - interval '1 minute', array[job_id], array[attempt] from engine.ready",
        "delete from engine.ready returning job_id"
    ];
    claim_left_open fault [
        "insert into engine.claim (worker_id, claimed_at, ids, attempts)
         select w.id, engine.now() - interval '2 minutes', array[a.job_id], array[a.attempt]
         from engine.attempt a, engine.worker w where a.outcome = 'completed' limit 1 returning ids[1]"
    ];
    idle_worker_gone fault ["insert into engine.idle (worker_id) values (4711) returning null::bigint"];
    due_not_promoted fault ["update engine.scheduled set run_at = engine.now() - interval '1 minute' returning job_id"];
    parked_not_woken fault [
        "insert into engine.parked (job_id, lane_id, attempt, waits_for, parked_at)
         select job_id, lane_id, attempt, 'event', engine.now() - interval '1 minute' from engine.ready",
        "delete from engine.ready returning job_id"
    ];
    steps_with_gap fault [
        "insert into engine.step (job_id, position, attempt, kind, name, begun_at)
         select job_id, n, 1, 'step', 'some', engine.now() from engine.ready, unnest('{1,3}'::integer[]) n returning job_id"
    ];
    step_without_job fault [
        "insert into engine.step (job_id, position, attempt, kind, name, begun_at)
         values (5000000, 1, 1, 'step', 'some', engine.now()) returning job_id"
    ];
    child_of_ended_job fault [
        "insert into engine.child (job_id, parent_id, position, n)
         select min(a.job_id), min(r.job_id), 1, 1 from engine.attempt a, engine.ready r where a.outcome = 'completed' returning job_id"
    ];
    aftermath_left fault [
        "insert into engine.aftermath (job_id, ended_at, reached)
         select min(job_id), engine.now() - interval '10 minutes', true from engine.attempt returning job_id"
    ];
    retry_policy_broken fault [
        "alter table raw_ops.retry_config disable trigger user",
        "delete from raw_ops.retry_config where error_category = 'default' returning null::bigint"];
    partitions_short fault ["select setval('engine.position', 59000000)", "select null::bigint"];
    id_beyond_partitions fault [
        "insert into engine.attempt (job_id, attempt, started_at, finished_at, outcome)
         values (1000000000, 1, engine.now(), engine.now(), 'completed')",
        "insert into engine.job (id, lane_id, args) select 1000000000, min(id), '{}' from engine.lane returning id"
    ];
    kind_unknown warning ["update engine.worker set info = '{\"kinds\": [\"test.fail\"], \"queues\": [\"default\"]}'", "select job_id from engine.ready"];
    override_of_unknown_kind warning [
        "insert into engine.retry_override (kind, error_category, max_attempts, backoff_seconds)
         values ('test.no_such_kind', 'network', 3, '{5}') returning null::bigint"
    ];
    worker_silent warning [
        "insert into engine.worker (name, lease_until) values ('silent', engine.now() - interval '1 minute') returning null::bigint"
    ];
    roles_not_set_up warning ["revoke usage on schema engine from rawops_reader", "select null::bigint"];
    schedule_broken warning [
        "insert into engine.schedule (name, line, problem) values ('sweep', '', 'its job is refused') returning null::bigint"
    ];
    duty_overdue warning [
        "insert into engine.duty (name, period_ms, succeeded_at, failed_at, failures, error)
         values ('measure', 1000, engine.now() - interval '1 minute', engine.now(), 7, 'no') on conflict (name) do update
         set succeeded_at = excluded.succeeded_at, failures = 7, error = 'no' returning null::bigint"
    ];
    house_unkept warning [
        "delete from engine.worker",
        "insert into engine.duty (name, period_ms, succeeded_at) values ('sweep', 1000, engine.now() - interval '1 minute')
         returning null::bigint"
    ];
    scheduler_missing warning [
        "insert into engine.schedule (name, line) values ('sweep', '0 0 * * * (UTC)')",
        "insert into engine.leader (duty, worker_id, term, until)
         values ('scheduler', 1, 1, engine.now() - interval '1 minute') returning null::bigint"
    ];
}

#[tokio::test]
async fn a_policy_that_decides_nonsense_is_named() {
    let unguarded = "alter table engine.retry_override disable trigger user";
    let nonsense = "insert into engine.retry_override (kind, error_category, max_attempts, backoff_seconds)
                    values ('test.fail', 'network', 3, '{5, -1}') returning null::bigint";
    finds("retry_policy_broken", "fault", &[unguarded, nonsense]).await;
}

#[tokio::test]
async fn a_breaker_whose_only_jobs_are_suspects_that_nobody_tries_is_named() {
    let of_kind = "insert into engine.breaker_kind (kind, system) values ('test.no_op', 'a system')";
    let suspects = "with gone as (delete from engine.ready returning job_id, lane_id)
                    insert into engine.scheduled (run_at, job_id, lane_id, attempt, alone)
                    select engine.now() - interval '11 minutes', job_id, lane_id, 3, true from gone";
    let open = "insert into engine.breaker (system, state, probe_at)
                values ('a system', 'open', engine.now() - interval '11 minutes') returning null::bigint";
    finds("breaker_stuck", "warning", &[of_kind, suspects, open]).await;
}

#[tokio::test]
async fn a_queue_that_no_worker_serves_is_a_warning() {
    let elsewhere = "update engine.worker set info = '{\"kinds\": [\"test.no_op\"], \"queues\": [\"slow\"]}'";
    finds("kind_unknown", "warning", &[elsewhere, "select job_id from engine.ready"]).await;
}
