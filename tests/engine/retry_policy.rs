//! The retry policy as live data: nonsense refused, versions and history, jitter, and delays of any size.

use std::time::Duration;

use engine::{
    Category,
    retry::{self, Draft, PolicyError},
    store::{
        attempt::{self, Ended, Verdict},
        claim::Claimed,
        retry_policy,
    },
};
use sqlx::PgPool;

use super::hand::{Hand, ended, enqueue};
use crate::support::{Database, ledger::count, wait};

/// Runs a statement that must be refused, and returns the sentence.
async fn refused(pool: &PgPool, statement: &str) -> String {
    let error = sqlx::query(sqlx::AssertSqlSafe(statement)).execute(pool).await.expect_err(statement);
    error.as_database_error().unwrap_or_else(|| panic!("{statement}: {error}")).message().to_string()
}

async fn execute(pool: &PgPool, statement: &str) {
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(pool).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// The versions of a row, oldest first: version, what, who.
async fn versions(pool: &PgPool, category: &str, kind: Option<&str>) -> Vec<(i32, String, String)> {
    let mut found = retry_policy::history(pool, Some(category), kind, 100).await.expect("the history can be read");
    found.reverse();
    found.into_iter().filter(|found| found.kind.as_deref() == kind).map(|found| (found.version, found.what, found.changed_by)).collect()
}

#[tokio::test]
async fn nonsense_is_refused_with_a_sentence() {
    let db = Database::new().await;
    for (change, sentence) in [
        ("max_attempts = 0", "max_attempts is 0 and must be from 1 to 1000"),
        ("max_attempts = 1001", "max_attempts is 1001 and must be from 1 to 1000"),
        ("backoff_seconds = '{}'", "backoff_seconds is {} and must be a list of 1 to 1000 delays"),
        ("backoff_seconds = '{{1,2},{3,4}}'", "backoff_seconds is {{1,2},{3,4}} and must be a list of 1 to 1000 delays"),
        ("backoff_seconds = '[0:1]={1,2}'", "backoff_seconds is [0:1]={1,2} and its delays must be numbered from 1"),
        ("backoff_seconds = '{1,-1}'", "backoff_seconds is {1,-1} and each delay must be from 0 to 315360000 seconds, ten years"),
        ("backoff_seconds = '{1,null}'", "backoff_seconds is {1,NULL} and each delay must be from 0 to 315360000 seconds, ten years"),
        ("backoff_seconds = '{315360001}'", "backoff_seconds is {315360001} and each delay must be from 0 to 315360000 seconds, ten years"),
        ("alert_on_attempt = 11", "alert_on_attempt is 11 and must be from 1 to max_attempts, 10"),
        ("alert_on_attempt = 0", "alert_on_attempt is 0 and must be from 1 to max_attempts, 10"),
        ("escalate_on_attempt = 11", "escalate_on_attempt is 11 and must be from 1 to max_attempts, 10"),
        ("alert_on_attempt = 9", "escalate_on_attempt is 8 and must not come before alert_on_attempt, 9"),
    ] {
        let said = refused(db.pool(), &format!("update raw_ops.retry_config set {change} where error_category = 'network'")).await;
        assert_eq!(said, format!("the retry policy of network is refused: {sentence}"), "{change}");
    }
    let insert = "insert into engine.retry_override (kind, error_category, max_attempts, backoff_seconds) values";
    let categories = "network, timeout, rate_limited, upstream, auth, validation, not_ready, conflict, business_rule, poison, bug, unknown";
    for category in ["netwrok", "default"] {
        let said = refused(db.pool(), &format!("{insert} ('test.fail', '{category}', 3, '{{5}}')")).await;
        let sentence = format!(
            "the retry policy of {category} of test.fail is refused: there is no error category '{category}'; there are {categories}"
        );
        assert_eq!(said, sentence);
    }
    let said = refused(db.pool(), &format!("{insert} ('', 'network', 3, '{{5}}')")).await;
    assert_eq!(said, "the retry policy of network of  is refused: kind is empty and must be the name of a kind");
    let renamed = refused(db.pool(), "update engine.retry_config set error_category = 'net' where error_category = 'network'").await;
    assert_eq!(renamed, "the policy of category network cannot become that of another: insert a row, and delete this one");
    assert_eq!(count(db.pool(), "select count(*) from engine.retry_policy_history where what <> 'found'").await, 0);
}

#[tokio::test]
async fn the_row_that_decides_when_no_other_does_cannot_go() {
    let db = Database::new().await;
    let sentence = "the row `default` of the retry policy cannot be deleted: it decides for categories without a row of their own; edit it";
    for table in ["raw_ops.retry_config", "engine.retry_config"] {
        assert_eq!(refused(db.pool(), &format!("delete from {table} where error_category = 'default'")).await, sentence);
    }
    assert!(refused(db.pool(), "truncate raw_ops.retry_config").await.starts_with("the retry policy cannot be truncated"));
    execute(db.pool(), "delete from engine.retry_config where error_category = 'auth'").await;
    let default = retry::deciding(db.pool(), "auth", None).await.expect("a row decides");
    assert_eq!(default.category, "default");
}

#[tokio::test]
async fn the_categories_of_the_database_are_those_of_the_program() {
    let db = Database::new().await;
    let stored: Vec<String> = sqlx::query_scalar("select engine.error_categories()").fetch_one(db.pool()).await.expect("they can be read");
    assert_eq!(stored, Category::ALL.map(Category::as_str));
}

#[tokio::test]
async fn every_edit_has_a_number_and_stays_in_the_history() {
    let db = Database::new().await;
    let of = |rows: &[(i32, &str, &str)]| rows.iter().map(|(n, what, who)| (*n, (*what).into(), (*who).into())).collect::<Vec<_>>();
    execute(db.pool(), "update raw_ops.retry_config set max_attempts = 4 where error_category = 'network'").await;
    execute(db.pool(), "update engine.retry_config set max_attempts = 4, version = 1 where error_category = 'network'").await;
    execute(db.pool(), "update engine.retry_config set version = 70 where error_category = 'bug'").await;
    let found = (1, "found", "the migration");
    let edited = of(&[found, (2, "edited", "postgres"), (3, "edited", "postgres")]);
    assert_eq!(versions(db.pool(), "network", None).await, edited, "a program cannot choose its number");
    assert_eq!(versions(db.pool(), "bug", None).await, of(&[found, (2, "edited", "postgres")]));
    execute(db.pool(), "update raw_ops.retry_config set max_attempts = 4 where error_category = 'network'").await;
    assert_eq!(versions(db.pool(), "network", None).await.len(), 3, "an edit that changes nothing is none");

    let draft = Draft { max_attempts: Some(2), ..Draft::default() };
    let set = retry::set(db.pool(), "ada", "network", Some("test.fail"), &draft).await.expect("it is taken");
    assert_eq!((set.version, set.max_attempts, set.backoff_seconds.len()), (1, 2, 7), "what nobody speaks of is the category's");
    let removed = retry::unset(db.pool(), "bob", "network", "test.fail").await.expect("it can be taken away");
    assert_eq!((removed.kind, removed.version), (None, 3));
    let again = retry::set(db.pool(), "ada", "network", Some("test.fail"), &draft).await.expect("it is taken");
    assert_eq!(again.version, 3, "no number is used twice");
    let history = of(&[(1, "made", "ada"), (2, "removed", "bob"), (3, "made", "ada")]);
    assert_eq!(versions(db.pool(), "network", Some("test.fail")).await, history);
    let rows: Vec<i32> = sqlx::query_scalar(
        "select (row ->> 'max_attempts')::integer from engine.retry_policy_history where category = 'network' and kind is null order by id",
    )
    .fetch_all(db.pool())
    .await
    .expect("the history can be read");
    assert_eq!(rows, [10, 4, 4]);
}

#[tokio::test]
async fn of_two_edits_at_one_time_none_is_lost() {
    let db = Database::new().await;
    let mut first = db.pool().begin().await.expect("a transaction");
    retry_policy::lock(&mut first).await.expect("nobody else edits");
    let edit = "update engine.retry_config set max_attempts = 4 where error_category = 'network'";
    sqlx::query(edit).execute(&mut *first).await.expect("set");
    let pool = db.pool().clone();
    let draft = Draft { backoff_seconds: Some(vec![7]), ..Draft::default() };
    let second = tokio::spawn(async move { retry::set(&pool, "ada", "network", None, &draft).await });
    wait::until("the second waits for the first", Duration::from_secs(10), || async {
        count(db.pool(), "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'").await == 1
    })
    .await;
    first.commit().await.expect("committed");
    let policy = second.await.expect("no panic").expect("it is taken");
    assert_eq!((policy.max_attempts, policy.backoff_seconds), (4, vec![7]));
}

#[tokio::test]
async fn alerts_that_an_edit_leaves_alone_follow_the_last_attempt() {
    let db = Database::new().await;
    let alerts = async || {
        let policy = retry::deciding(db.pool(), "network", None).await.expect("a row decides");
        (policy.max_attempts, policy.alert_on_attempt, policy.escalate_on_attempt)
    };
    execute(db.pool(), "update raw_ops.retry_config set max_attempts = 6 where error_category = 'network'").await;
    assert_eq!(alerts().await, (6, Some(5), Some(6)));
    let set = async |draft: Draft| retry::set(db.pool(), "ada", "network", None, &draft).await;
    set(Draft { max_attempts: Some(2), ..Draft::default() }).await.expect("it is taken");
    assert_eq!(alerts().await, (2, Some(2), Some(2)));
    set(Draft { alert_on_attempt: Some(None), ..Draft::default() }).await.expect("it is taken");
    assert_eq!(alerts().await, (2, None, Some(2)));
    let refused = set(Draft { alert_on_attempt: Some(Some(3)), ..Draft::default() }).await.expect_err("it is refused");
    let sentence =
        "the retry policy of network is refused: alert_on_attempt is 3 and must be from 1 to max_attempts, 2; nothing was changed";
    assert_eq!(refused.to_string(), sentence);
    execute(db.pool(), "update raw_ops.retry_config set max_attempts = 9 where error_category = 'network'").await;
    assert_eq!(alerts().await, (9, None, Some(2)), "a null alert stays null");
}

#[tokio::test]
async fn what_is_not_there_cannot_be_changed() {
    let db = Database::new().await;
    let draft = Draft { max_attempts: Some(2), ..Draft::default() };
    let nowhere = retry::set(db.pool(), "ada", "netwrok", None, &draft).await.expect_err("refused");
    assert!(matches!(nowhere, PolicyError::NoCategory(..)) && nowhere.to_string().contains("network"), "{nowhere}");
    let nothing = retry::unset(db.pool(), "ada", "network", "test.fail").await.expect_err("refused").to_string();
    assert_eq!(nothing, "there is no override of category network for kind test.fail: `rawops retry list` shows them");
}

/// The delays of jobs that failed once with category network, in seconds, sorted.
async fn delays(pool: &PgPool) -> Vec<f64> {
    sqlx::query_scalar(
        "select extract(epoch from s.run_at - a.finished_at)::float8 from engine.scheduled s
         join engine.attempt a on a.job_id = s.job_id and a.attempt = s.attempt - 1 order by 1",
    )
    .fetch_all(pool)
    .await
    .expect("what is scheduled can be read")
}

#[tokio::test]
async fn a_delay_is_drawn_from_all_of_it_so_that_jobs_that_fail_together_come_back_apart() {
    let db = Database::new().await;
    // So long that none comes up again before the last of them has failed.
    execute(db.pool(), "update engine.retry_config set backoff_seconds = '{10000000}' where error_category = 'network'").await;
    let job = super::jobs::of(&crate::support::kinds::Fail { category: "network".into(), times: 9 });
    engine::Client::new(db.pool().clone()).enqueue_many(&vec![job; 2000]).await.expect("enqueued");
    let worker = super::jobs::Running::start(db.pool(), 50);
    crate::support::wait::until("every job has failed once", Duration::from_mins(1), async || {
        count(db.pool(), "select count(*) from engine.scheduled").await == 2000
    })
    .await;
    worker.stop().await;
    let delays = delays(db.pool()).await;
    assert!(delays[0] >= 0.0 && delays[1999] <= 10_000_000.0, "{} to {}", delays[0], delays[1999]);
    // Kolmogorov and Smirnov: even numbers stray from the diagonal by more than this once in a million times.
    let stray = delays.iter().enumerate().map(|(place, delay)| (delay / 10_000_000.0 - place as f64 / 2000.0).abs()).fold(0.0, f64::max);
    assert!(stray < 2.7 / 2000_f64.sqrt(), "the delays are not even: {stray}");
}

/// The end of a job that was told to slow down.
fn slowed(job: &Claimed, retry_after_ms: Option<i64>) -> Ended {
    ended(job, Verdict::Failed { category: Category::RateLimited, message: "slow down".into(), retry_after_ms })
}

#[tokio::test]
async fn retry_after_is_waited_for_and_no_delay_leaves_the_calendar() {
    let db = Database::new().await;
    execute(
        db.pool(),
        "update engine.retry_config set backoff_seconds = '{5,315360000}', max_attempts = 1000 where error_category = 'rate_limited'",
    )
    .await;
    let mut hand = Hand::new(db.pool()).await;
    enqueue(db.pool(), 4).await;
    let asked = [None, Some(90_000), Some(60 * 86_400_000), Some(i64::MAX)];
    let claimed = hand.take(4).await;
    let failed = claimed.iter().zip(asked).map(|(job, asked_ms)| slowed(job, asked_ms));
    hand.settle(&failed.collect::<Vec<_>>()).await;
    let (years, a_day) = (315_360_000.0, 86_400.0 + 30.0);
    assert_eq!(delays(db.pool()).await, [5.0, 99.0, a_day, a_day], "the longer of delay and Retry-After, of which a day is believed");

    super::hand::due_now(db.pool()).await;
    super::hand::promote(&mut hand.connection).await;
    let again = hand.take(4).await;
    let failed = again.iter().map(|job| slowed(job, Some(1000)));
    hand.settle(&failed.collect::<Vec<_>>()).await;
    assert_eq!(delays(db.pool()).await, [years; 4]);
}

#[tokio::test]
async fn jobs_that_were_told_the_same_time_come_back_after_it_and_apart() {
    let db = Database::new().await;
    execute(db.pool(), "update engine.retry_config set backoff_seconds = '{0,300}' where error_category = 'rate_limited'").await;
    let mut hand = Hand::new(db.pool()).await;
    enqueue(db.pool(), 4).await;
    let mut fail = async |asked_ms: i64| {
        let failed: Vec<Ended> = hand.take(4).await.iter().map(|job| slowed(job, Some(asked_ms))).collect();
        let closing: Vec<i64> = failed.iter().map(|end| end.claim_id).collect();
        let drawn = [0.0, 0.25, 0.5, 0.75];
        attempt::settle(&mut hand.connection, hand.id, &failed, &drawn, &closing).await.expect("settled");
        let delays = delays(db.pool()).await;
        super::hand::due_now(db.pool()).await;
        super::hand::promote(&mut hand.connection).await;
        delays
    };
    assert_eq!(fail(60_000).await, [60.0, 61.5, 63.0, 64.5]);
    assert_eq!(fail(600_000).await, [600.0, 607.5, 615.0, 622.5], "longer than any delay of the policy");
}
