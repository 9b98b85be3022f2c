//! What a draft of the retry policy would have changed, on ledgers whose answer is known.

use chrono::TimeDelta;
use engine::{
    Category, JobId,
    retry::{self, Draft, Effect, PolicyError, Report},
    store::attempt::Verdict,
};

use super::hand::{Hand, done, due_now, ended, enqueue, failed, promote};
use crate::support::{Database, ledger::now};

/// Lets one new job go through these verdicts, one attempt each.
async fn live(db: &Database, hand: &mut Hand, verdicts: &[Verdict]) -> JobId {
    let id = enqueue(db.pool(), 1).await[0];
    for verdict in verdicts {
        due_now(db.pool()).await;
        promote(&mut hand.connection).await;
        let job = hand.take(1).await.pop().expect("the job can be claimed");
        assert_eq!(job.job_id, id, "no other job is open");
        hand.settle(&[ended(&job, verdict.clone())]).await;
    }
    id
}

async fn policy(db: &Database, max_attempts: i32, backoff: &[i32]) {
    let draft = Draft { max_attempts: Some(max_attempts), backoff_seconds: Some(backoff.to_vec()), ..Draft::default() };
    retry::set(db.pool(), "ada", "network", None, &draft).await.expect("the policy is taken");
}

async fn simulate(db: &Database, max_attempts: i32, backoff: &[i32]) -> Report {
    let draft = Draft { max_attempts: Some(max_attempts), backoff_seconds: Some(backoff.to_vec()), ..Draft::default() };
    retry::simulate(db.pool(), "network", None, 7.0, &draft).await.expect("the draft can be tried")
}

fn network() -> Verdict {
    failed(Category::Network)
}

/// A job that completed at its third attempt, one that died at its fourth, and one that died of another category.
async fn lived(db: &Database) -> JobId {
    policy(db, 4, &[10, 20, 30]).await;
    let mut hand = Hand::new(db.pool()).await;
    let completed = live(db, &mut hand, &[network(), network(), done()]).await;
    live(db, &mut hand, &[network(), network(), network(), network()]).await;
    live(db, &mut hand, &[failed(Category::Validation)]).await;
    completed
}

#[tokio::test]
async fn fewer_attempts_lose_the_successes_that_came_after_them() {
    let db = Database::new().await;
    let completed = lived(&db).await;
    let report = simulate(&db, 2, &[10, 20, 30]).await;
    // The first fails twice and would be dead; 10 s of the second delay's mean are not waited. The other dies at its
    // second failure instead of its fourth: two tries less, 10 s and 15 s.
    let expected = Effect {
        jobs: 2,
        failures: 6,
        successes_lost: 1,
        died_earlier: 1,
        tries_saved: 2,
        wait_saved_s: 10.0 + 10.0 + 15.0,
        lost_jobs: vec![completed],
        ..Effect::default()
    };
    assert_eq!((&report.total, report.kinds.len()), (&expected, 1));
    assert_eq!(report.kinds["test.no_op"], expected);
    assert_eq!((report.today.max_attempts, report.draft.max_attempts), (4, 2));
}

#[tokio::test]
async fn more_attempts_are_counted_and_no_success_is_claimed_for_them() {
    let db = Database::new().await;
    lived(&db).await;
    let report = simulate(&db, 6, &[10, 20, 30]).await;
    // The one that died would have had two more tries, each after the last delay's mean.
    let expected = Effect { jobs: 2, failures: 6, died_with_tries_left: 1, tries_added: 2, wait_added_s: 30.0, ..Effect::default() };
    assert_eq!(report.total, expected);
}

#[tokio::test]
async fn other_delays_add_and_save_waiting() {
    let db = Database::new().await;
    lived(&db).await;
    let report = simulate(&db, 4, &[0, 60]).await;
    // Five failures were followed by another attempt: two first ones save 5 s each, two second ones wait 20 s longer
    // each and a third one 15 s.
    let expected = Effect { jobs: 2, failures: 6, wait_saved_s: 10.0, wait_added_s: 55.0, ..Effect::default() };
    assert_eq!(report.total, expected);
    let same = simulate(&db, 4, &[10, 20, 30]).await;
    assert_eq!(same.total, Effect { jobs: 2, failures: 6, ..Effect::default() }, "the policy itself changes nothing");
}

#[tokio::test]
async fn each_failure_is_held_against_the_policy_of_its_time() {
    let db = Database::new().await;
    policy(&db, 3, &[100]).await;
    let mut hand = Hand::new(db.pool()).await;
    live(&db, &mut hand, &[network(), done()]).await;
    policy(&db, 3, &[40]).await;
    live(&db, &mut hand, &[network(), done()]).await;
    let report = simulate(&db, 3, &[60]).await;
    assert_eq!((report.total.wait_saved_s, report.total.wait_added_s), (20.0, 10.0));
}

#[tokio::test]
async fn a_draft_decides_only_what_no_override_does() {
    let db = Database::new().await;
    lived(&db).await;
    let own = Draft { max_attempts: Some(9), ..Draft::default() };
    retry::set(db.pool(), "ada", "network", Some("test.no_op"), &own).await.expect("the override is taken");
    let report = simulate(&db, 2, &[10]).await;
    assert_eq!(report.total, Effect { overridden: 2, ..Effect::default() });
    let draft = Draft { max_attempts: Some(6), ..Draft::default() };
    let of_kind = retry::simulate(db.pool(), "network", Some("test.no_op"), 7.0, &draft).await.expect("the draft can be tried");
    assert_eq!((of_kind.today.max_attempts, of_kind.total.died_with_tries_left, of_kind.total.tries_added), (9, 1, 2));
    let of_other = retry::simulate(db.pool(), "network", Some("test.fail"), 7.0, &draft).await.expect("the draft can be tried");
    assert_eq!(of_other.total, Effect::default());
}

#[tokio::test]
async fn a_jobs_own_cap_holds_and_what_failed_before_the_days_is_left_out() {
    let db = Database::new().await;
    lived(&db).await;
    sqlx::query("update engine.job set max_attempts = 4").execute(db.pool()).await.expect("a cap can be set");
    assert_eq!(simulate(&db, 9, &[10]).await.total.tries_added, 0, "the job itself wanted no more");
    sqlx::query("update engine.attempt set finished_at = finished_at - interval '8 days'")
        .execute(db.pool())
        .await
        .expect("it was long ago");
    assert_eq!(simulate(&db, 2, &[10]).await.total, Effect::default());
    let at: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("select max(finished_at) from engine.attempt").fetch_one(db.pool()).await.expect("attempts");
    assert!(now(db.pool()).await - at > TimeDelta::days(7));
}

#[tokio::test]
async fn a_workflows_failures_count_since_it_last_got_on_in_a_replay_too() {
    let db = Database::new().await;
    policy(&db, 3, &[10]).await;
    let mut hand = Hand::new(db.pool()).await;
    let id = live(&db, &mut hand, &[network(), network()]).await;
    // The third attempt keeps a step before it fails, and so does the fourth.
    for attempt in [3, 4] {
        sqlx::query(
            "insert into engine.step (job_id, position, attempt, kind, name, begun_at) values ($1, $2, $2, 'step', 'next', engine.now())",
        )
        .bind(id)
        .bind(attempt)
        .execute(db.pool())
        .await
        .expect("it got on");
        due_now(db.pool()).await;
        promote(&mut hand.connection).await;
        let job = hand.take(1).await.pop().expect("the job can be claimed");
        hand.settle(&[ended(&job, network())]).await;
    }
    due_now(db.pool()).await;
    promote(&mut hand.connection).await;
    let job = hand.take(1).await.pop().expect("it lives");
    hand.settle(&[ended(&job, done())]).await;
    assert_eq!(
        simulate(&db, 3, &[10]).await.total,
        Effect { jobs: 1, failures: 4, ..Effect::default() },
        "the policy itself changes nothing"
    );
    assert_eq!(simulate(&db, 2, &[10]).await.total.successes_lost, 1, "its second failure in a row");
}

/// Sets every job's deadline to so many seconds after its failures.
async fn deadline(db: &Database, seconds: f64) {
    sqlx::query(
        "update engine.job j set deadline = a.at + $1 * interval '1 second'
         from (select job_id, max(finished_at) as at from engine.attempt where outcome in ('failed', 'dead') group by job_id) a
         where a.job_id = j.id",
    )
    .bind(seconds)
    .execute(db.pool())
    .await
    .expect("deadlines are set");
}

#[tokio::test]
async fn what_died_of_its_deadline_has_no_tries_left_unless_the_draft_waits_less() {
    let db = Database::new().await;
    policy(&db, 5, &[100]).await;
    let mut hand = Hand::new(db.pool()).await;
    live(&db, &mut hand, &[network()]).await;
    sqlx::query("update engine.attempt set outcome = 'dead'").execute(db.pool()).await.expect("it died then");
    sqlx::query("delete from engine.scheduled").execute(db.pool()).await.expect("and is not tried again");
    deadline(&db, 60.0).await;
    let dead = Effect { jobs: 1, failures: 1, ..Effect::default() };
    for (attempts, backoff) in [(5, 100), (1000, 100), (5, 90), (5, 4000)] {
        assert_eq!(simulate(&db, attempts, &[backoff]).await.total, dead, "{attempts} attempts, {backoff} s apart");
    }
    // Of 100 s more than 60 were drawn, 80 on average; of 70 s that is 56. Of the tries after it, 35 s apart, none is in time.
    let once = Effect { died_with_tries_left: 1, tries_added: 1, wait_added_s: 35.0, ..dead.clone() };
    assert_eq!(simulate(&db, 5, &[70]).await.total, once);
    let often = Effect { died_with_tries_left: 1, tries_added: 4, wait_added_s: 20.0, ..dead.clone() };
    assert_eq!(simulate(&db, 5, &[10]).await.total, often);
    deadline(&db, 150.0).await;
    assert_eq!(simulate(&db, 5, &[10]).await.total, dead, "the other side had asked for more than was left");
}

#[tokio::test]
async fn a_draft_that_waits_past_the_deadline_loses_what_came_in_time() {
    let db = Database::new().await;
    let completed = lived(&db).await;
    deadline(&db, 25.0).await;
    assert_eq!(simulate(&db, 4, &[10, 20, 30]).await.total, Effect { jobs: 2, failures: 6, ..Effect::default() });
    let report = simulate(&db, 4, &[10, 2000]).await;
    assert_eq!((report.total.successes_lost, report.total.died_earlier), (1, 1));
    assert_eq!(report.total.lost_jobs, [completed]);
    // The one that died of its last attempt has time for one more.
    let more = simulate(&db, 9, &[10, 20, 30]).await.total;
    assert_eq!((more.died_with_tries_left, more.tries_added), (1, 1));
}

#[tokio::test]
async fn a_category_without_a_row_is_decided_by_default_in_a_replay_too() {
    let db = Database::new().await;
    lived(&db).await;
    sqlx::query("delete from engine.retry_config where error_category = 'network'").execute(db.pool()).await.expect("a row can go");
    let draft = Draft { max_attempts: Some(2), ..Draft::default() };
    let report = retry::simulate(db.pool(), "default", None, 7.0, &draft).await.expect("the draft can be tried");
    assert_eq!((report.total.successes_lost, report.total.died_earlier), (1, 1));
}

#[tokio::test]
async fn a_draft_that_the_tables_would_refuse_is_refused() {
    let db = Database::new().await;
    let draft = Draft { max_attempts: Some(0), ..Draft::default() };
    let refused = retry::simulate(db.pool(), "network", None, 7.0, &draft).await.expect_err("refused");
    assert_eq!(refused.to_string(), "the draft is refused: max_attempts is 0 and must be from 1 to 1000; nothing was changed");
    let nowhere = retry::simulate(db.pool(), "netwrok", None, 7.0, &Draft::default()).await.expect_err("refused");
    assert!(matches!(nowhere, PolicyError::NoCategory(..)), "{nowhere}");
}
