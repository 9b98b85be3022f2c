//! Figures of the backlog: measured by one for all, looked up by everybody, however deep the backlog is.

use std::time::Duration;

use engine::{Client, metrics, store::duty};
use sqlx::PgPool;

use super::hand::{Hand, count, done, ended, enqueue, failed};
use super::jobs::{Running, of, until_state};
use crate::support::{
    Database, clock,
    kinds::{Fail, NoOp},
    wait,
};

async fn measure(pool: &PgPool) {
    let mut connection = pool.acquire().await.expect("a connection");
    assert!(metrics::measure(&mut connection, Duration::ZERO).await.expect("measured"), "nobody else measures");
}

async fn depth(pool: &PgPool) -> i64 {
    count(pool, "select coalesce(sum(depth), 0)::bigint from engine.queue_figures where queue = 'default'").await
}

#[tokio::test]
async fn figures_follow_the_backlog() {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    enqueue(db.pool(), 5).await;
    assert_eq!(depth(db.pool()).await, 0, "nobody has measured");
    clock::step(db.pool(), 10.0).await;
    measure(db.pool()).await;
    assert_eq!(depth(db.pool()).await, 5);
    let age: f64 = sqlx::query_scalar("select oldest_seconds from engine.queue_figures").fetch_one(db.pool()).await.expect("an age");
    assert!((10.0..40.0).contains(&age), "{age}");

    let mut hand = Hand::new(db.pool()).await;
    let jobs = hand.take(2).await;
    hand.settle(&[ended(&jobs[0], failed(engine::Category::Network)), ended(&jobs[1], failed(engine::Category::Validation))]).await;
    clock::step(db.pool(), 10.0).await;
    measure(db.pool()).await;
    assert_eq!(depth(db.pool()).await, 3);
    let places: (i64, i64, i64) =
        sqlx::query_as("select scheduled, claims, dead from engine.place_figures").fetch_one(db.pool()).await.expect("figures");
    assert_eq!(places, (1, 0, 1));

    hand.take(3).await;
    clock::step(db.pool(), 10.0).await;
    measure(db.pool()).await;
    assert_eq!(depth(db.pool()).await, 0);
    let (claimed, ages): (i64, i64) =
        sqlx::query_as("select p.claimed, (select count(oldest_at) from engine.lane_figures) from engine.place_figures p")
            .fetch_one(db.pool())
            .await
            .expect("figures");
    assert_eq!((claimed, ages), (3, 0), "an empty lane has no oldest job");
}

#[tokio::test]
async fn what_commits_late_is_counted_wherever_the_floor_stands() {
    let db = Database::new().await;
    let mut hand = Hand::new(db.pool()).await;
    enqueue(db.pool(), 1).await;
    let mut late = db.pool().begin().await.expect("a transaction");
    engine::enqueue_in(&mut late, &of(&NoOp { n: 1 })).await.expect("enqueued");
    for _ in 0..3 {
        enqueue(db.pool(), 10).await;
        hand.take(100).await;
        measure(db.pool()).await;
        assert_eq!(depth(db.pool()).await, 0);
    }
    late.commit().await.expect("committed");
    measure(db.pool()).await;
    assert_eq!(depth(db.pool()).await, 1);
    hand.take(1).await;
    // Other tests' transactions on this server hold the floor back for a moment, too.
    wait::until("the floor rises when no transaction is left that could add below it", Duration::from_secs(20), || async {
        measure(db.pool()).await;
        count(db.pool(), "select min(floor) from engine.lane_figures").await >= 32
    })
    .await;
}

#[tokio::test]
async fn a_deep_lane_is_counted_less_often_and_its_end_is_seen_at_once() {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    enqueue(db.pool(), 1).await;
    let add = "insert into engine.ready (lane_id, attempt, position, job_id)
               select (select min(lane_id) from engine.ready), 1, nextval('engine.position'), 1 from generate_series(1, 30000)";
    sqlx::query("drop index engine.ready_returned").execute(db.pool()).await.expect("the rows below are of one job");
    sqlx::query(add).execute(db.pool()).await.expect("a backlog");
    measure(db.pool()).await;
    assert_eq!(depth(db.pool()).await, 30_001, "a first count is whole");
    // As if that had taken ten seconds.
    sqlx::query("update engine.measured set deep_ms = 10000").execute(db.pool()).await.expect("set");
    sqlx::query(add).execute(db.pool()).await.expect("more");
    clock::step(db.pool(), 100.0).await;
    measure(db.pool()).await;
    assert_eq!(depth(db.pool()).await, 30_001, "not again before 200 s");
    clock::step(db.pool(), 101.0).await;
    measure(db.pool()).await;
    assert_eq!(depth(db.pool()).await, 60_001);
    sqlx::query("update engine.measured set deep_ms = 10000").execute(db.pool()).await.expect("set");
    sqlx::query("delete from engine.ready").execute(db.pool()).await.expect("drained");
    measure(db.pool()).await;
    assert_eq!(depth(db.pool()).await, 0, "its head is looked at each time");
}

#[tokio::test]
async fn looking_up_a_figure_reads_no_place_of_jobs() {
    let db = Database::new().await;
    for statement in [
        include_str!("../../engine/sql/metrics/queues.sql"),
        include_str!("../../engine/sql/metrics/places.sql"),
        include_str!("../../engine/sql/metrics/attempts.sql"),
    ] {
        let plan: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(format!("explain {statement}"))).fetch_all(db.pool()).await.expect("explained");
        let plan = plan.join("\n");
        for table in ["ready", "scheduled", "claim", "attempt_kept", "job_kept", "dead_letter_queue"] {
            assert!(!plan.contains(&format!(" on {table}")), "{plan}");
        }
    }
}

#[tokio::test]
async fn the_attempts_of_a_minute_are_counted_once() {
    let db = Database::new().await;
    clock::own(db.pool()).await;
    enqueue(db.pool(), 3).await;
    let mut hand = Hand::new(db.pool()).await;
    let jobs = hand.take(3).await;
    hand.complete(&[ended(&jobs[0], done()), ended(&jobs[1], done())]).await;
    let roll_up = async || metrics::roll_up(&mut db.pool().acquire().await.expect("a connection")).await.expect("counted");
    assert_eq!(roll_up().await, 0, "what ended a moment ago may have neighbours that are not committed");
    clock::step(db.pool(), 5.0).await;
    assert_eq!(roll_up().await, 2);
    hand.settle(&[ended(&jobs[2], failed(engine::Category::Network))]).await;
    clock::step(db.pool(), 5.0).await;
    assert_eq!(roll_up().await, 1);
    clock::step(db.pool(), 5.0).await;
    assert_eq!(roll_up().await, 0);
    let rows: Vec<(String, String, i64)> = sqlx::query_as("select outcome, category, ended from engine.attempt_figures order by 1")
        .fetch_all(db.pool())
        .await
        .expect("figures");
    assert_eq!(rows, [("completed".into(), String::new(), 2), ("failed".into(), "network".into(), 1)]);
    clock::step(db.pool(), 3700.0).await;
    assert_eq!(count(db.pool(), "select count(*) from engine.attempt_figures").await, 0, "an hour later");
}

async fn leader(pool: &PgPool) -> Option<i64> {
    sqlx::query_scalar("select worker_id from engine.leader where duty = 'house' and until > engine.now()")
        .fetch_optional(pool)
        .await
        .expect("the leader can be read")
}

#[tokio::test]
async fn one_worker_keeps_house_and_the_next_takes_over_at_once() {
    let db = Database::new().await;
    let first = Running::start(db.pool(), 1);
    wait::until("one leads", Duration::from_secs(10), || async { leader(db.pool()).await.is_some() }).await;
    let second = Running::start(db.pool(), 1);
    wait::until("every duty was done", Duration::from_secs(20), || async {
        let duties = duty::list(db.pool()).await.expect("duties can be read");
        duties.len() >= 7 && duties.iter().all(|duty| duty.succeeded_at.is_some() && !duty.overdue && duty.failures == 0)
    })
    .await;
    wait::until("both work", Duration::from_secs(10), || async { count(db.pool(), "select count(*) from engine.worker").await == 2 }).await;
    let holders = count(db.pool(), "select count(distinct worker_id) from engine.duty").await;
    assert_eq!(holders, 1, "one does it for both");
    let before = leader(db.pool()).await;
    first.stop().await;
    wait::until("the other leads", Duration::from_secs(5), || async { leader(db.pool()).await.is_some_and(|id| Some(id) != before) }).await;
    enqueue(db.pool(), 1).await;
    second.stop().await;
}

#[tokio::test]
async fn a_duty_that_fails_stops_no_other_and_says_so() {
    let db = Database::new().await;
    sqlx::query("alter table engine.enqueue_key rename column created_at to made_at").execute(db.pool()).await.expect("a trap");
    let worker = Running::start(db.pool(), 1);
    let id = Client::new(db.pool().clone()).enqueue(&of(&Fail { category: "network".into(), times: 0 })).await.expect("enqueued").id;
    until_state(db.pool(), id, "completed").await;
    let health = async |name: &str| duty::list(db.pool()).await.expect("duties can be read").into_iter().find(|duty| duty.name == name);
    wait::until("it fails", Duration::from_secs(10), || async { health("forget_keys").await.is_some_and(|duty| duty.failures > 0) }).await;
    wait::until("the others go on", Duration::from_secs(10), || async {
        let duties = duty::list(db.pool()).await.expect("duties can be read");
        duties.len() >= 7 && duties.iter().all(|duty| duty.succeeded_at.is_some() || duty.name == "forget_keys")
    })
    .await;
    let failing = health("forget_keys").await.expect("it is there");
    assert!(failing.error.is_some_and(|error| error.contains("created_at")) && failing.succeeded_at.is_none());
    let shown = metrics::render(db.pool()).await.expect("rendered");
    assert!(shown.contains("rawops_duty_failures{duty=\"forget_keys\"} 1\n"), "{shown}");
    assert!(shown.contains("rawops_duty_failures{duty=\"measure\"} 0\n"), "{shown}");

    // Ten minutes later nothing is better.
    sqlx::query("update engine.duty set since = since - interval '10 minutes' where name = 'forget_keys'")
        .execute(db.pool())
        .await
        .expect("set");
    let findings = engine::store::doctor::examine(db.pool()).await.expect("the doctor can look");
    let told = findings.iter().find(|finding| finding.check == "duty_overdue").map(|finding| finding.detail.as_str());
    assert!(told.is_some_and(|detail| detail.starts_with("the duty forget_keys has not succeeded since")), "{findings:?}");
    assert!(metrics::render(db.pool()).await.expect("rendered").contains("rawops_duty_overdue{duty=\"forget_keys\"} 1\n"));
    worker.stop().await;
}

/// Two lanes that nobody works on.
async fn add_lanes(pool: &PgPool) {
    let lanes = "insert into engine.lane (id, queue, kind, priority) overriding system value
                 values (1001, 'default', 'test.later', 5), (1002, 'default', 'test.latest', 5)";
    sqlx::query(lanes).execute(pool).await.expect("two lanes");
}

/// What is said of the two lanes after another measurement.
async fn said(db: &Database, figures: &'static str) -> Vec<i64> {
    clock::step(db.pool(), 1000.0).await;
    measure(db.pool()).await;
    sqlx::query_scalar(figures).fetch_all(db.pool()).await.expect("figures")
}

#[tokio::test]
async fn a_lane_is_counted_as_far_as_20_001_and_what_goes_beyond_is_estimated() {
    const READY: &str = "select ready from engine.lane_figures where lane_id > 1000 order by lane_id";
    let db = Database::new().await;
    clock::own(db.pool()).await;
    add_lanes(db.pool()).await;
    sqlx::query("drop index engine.ready_returned").execute(db.pool()).await.expect("the rows below are of one job");
    // Three of the first lane for one of the second, some of them given back.
    let add = "insert into engine.ready (lane_id, attempt, position, job_id)
               select 1001 + (n % 4 = 0)::int, 1, nextval('engine.position') * case when n % 16 < 4 then -1 else 1 end, 1
               from generate_series(1, $1::bigint) n";
    sqlx::query(add).bind(20_000_i64).execute(db.pool()).await.expect("a backlog");
    assert_eq!(said(&db, READY).await, [15_000, 5000]);
    sqlx::query(add).bind(380_000_i64).execute(db.pool()).await.expect("more");
    let many = said(&db, READY).await;
    assert!((255_000..345_000).contains(&many[0]) && (85_000..115_000).contains(&many[1]), "{many:?}");
    assert_eq!(said(&db, READY).await, many, "what stands still is not said to move");
    // A lane that comes to be deep while those that are deep are not looked at.
    sqlx::query("delete from engine.ready where lane_id = 1002").execute(db.pool()).await.expect("drained");
    assert_eq!(said(&db, READY).await[1], 0);
    sqlx::query("update engine.measured set deep_ms = 1000000").execute(db.pool()).await.expect("set");
    sqlx::query(add).bind(200_000_i64).execute(db.pool()).await.expect("more");
    let more = said(&db, READY).await;
    assert!(more[0] == many[0] && (42_500..57_500).contains(&more[1]), "{more:?}");
    sqlx::query("update engine.measured set deep_ms = 1").execute(db.pool()).await.expect("set");
    let more = said(&db, READY).await;
    assert!((382_000..518_000).contains(&more[0]) && (42_500..57_500).contains(&more[1]), "{more:?}");
    // What is left of many, side by side in a table as large as it was, is counted.
    sqlx::query("delete from engine.ready where lane_id = 1001 or abs(position) > (select min(abs(position)) + 99999 from engine.ready where lane_id = 1002)")
        .execute(db.pool())
        .await
        .expect("most are over");
    let left = count(db.pool(), "select count(*) from engine.ready").await;
    assert_eq!(left, 25_000);
    let said = said(&db, READY).await;
    assert!(said[0] == 0 && (21_000..29_000).contains(&said[1]), "{said:?}");
}

/// Puts so many jobs into the places of those that run at a time, of two lanes in turns, three of the first for one of the second.
async fn schedule(pool: &PgPool, jobs: i64) {
    let add = "insert into engine.scheduled (run_at, job_id, lane_id, attempt)
               select engine.now() + interval '1 day' + random() * interval '1 year', nextval('engine.position'), 1001 + (n % 4 = 0)::int, 1
               from generate_series(1, $1::bigint) n";
    sqlx::query(add).bind(jobs).execute(pool).await.expect("scheduled");
}

#[tokio::test]
async fn a_few_scheduled_jobs_are_counted_and_many_are_estimated() {
    const SCHEDULED: &str = "select scheduled from engine.lane_figures where lane_id > 1000 order by lane_id";
    let db = Database::new().await;
    clock::own(db.pool()).await;
    add_lanes(db.pool()).await;
    schedule(db.pool(), 1000).await;
    assert_eq!(said(&db, SCHEDULED).await, [750, 250]);
    schedule(db.pool(), 399_000).await;
    let many = said(&db, SCHEDULED).await;
    assert!((255_000..345_000).contains(&many[0]) && (85_000..115_000).contains(&many[1]), "{many:?}");
    assert_eq!(said(&db, SCHEDULED).await, many, "what stands still is not said to move");
    // What is left of many, side by side in a table as large as it was, is counted.
    sqlx::query("delete from engine.scheduled where job_id > (select min(job_id) + 3999 from engine.scheduled)")
        .execute(db.pool())
        .await
        .expect("most are over");
    assert_eq!(said(&db, SCHEDULED).await, [3000, 1000]);
    sqlx::query("delete from engine.scheduled where job_id > (select min(job_id) + 999 from engine.scheduled)")
        .execute(db.pool())
        .await
        .expect("they are over");
    assert_eq!(said(&db, SCHEDULED).await, [750, 250]);
}
