//! A job that is stale when it comes up does not run, and says why.

use std::time::Duration;

use chrono::Utc;
use engine::{Category, Client, Ending};

use super::{
    hand::{Hand, count, ended, failed},
    jobs::{Running, of, state_of, until_state},
};
use crate::support::{Database, kinds::NoOp};

#[tokio::test]
async fn a_job_that_comes_up_after_its_deadline_does_not_run_and_says_why() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let now = Utc::now();
    let jobs = [
        of(&NoOp { n: 1 }).deadline(now - Duration::from_secs(1)).unique_key("stale"),
        of(&NoOp { n: 2 }).deadline(now + Duration::from_hours(1)),
        of(&NoOp { n: 3 }).deadline(now + Duration::from_millis(200)).run_at(now + Duration::from_millis(400)),
    ];
    let mut ids = client.enqueue_many(&jobs).await.expect("enqueued");
    ids.push(Some(client.enqueue(&jobs[0].clone().unique_key("other")).await.expect("enqueued").id));
    let ids: Vec<_> = ids.into_iter().map(|id| id.expect("made")).collect();
    let worker = Running::start(db.pool(), 4);
    for (id, end) in ids.iter().zip(["cancelled", "completed", "cancelled", "cancelled"]) {
        until_state(db.pool(), *id, end).await;
    }
    worker.stop().await;
    let reason = client.ending(ids[0]).await.expect("it ended");
    assert_eq!(reason, Some(Ending::Cancelled(Some("its deadline had passed when it came up".into()))));
    let counted = "select count(*) from engine.attempt where outcome = 'cancelled' and category = 'deadline'";
    assert_eq!(count(db.pool(), counted).await, 3, "they can be counted");
    assert_eq!(count(db.pool(), "select count(*) from engine.unique_key").await, 0);
    assert_eq!(count(db.pool(), "select count(*) from engine.dead_letter_queue").await, 0, "nobody need act");
}

#[tokio::test]
async fn a_failure_that_could_not_be_tried_again_in_time_is_a_dead_letter_with_its_error() {
    let db = Database::new().await;
    let client = Client::new(db.pool().clone());
    let mut hand = Hand::new(db.pool()).await;
    let in_time = client.enqueue(&of(&NoOp { n: 1 }).deadline(Utc::now() + Duration::from_hours(48))).await.expect("enqueued").id;
    let too_late = client.enqueue(&of(&NoOp { n: 2 }).deadline(Utc::now() + Duration::from_secs(1))).await.expect("enqueued").id;
    let jobs = hand.take(2).await;
    hand.settle(&jobs.iter().map(|job| ended(job, failed(Category::Network))).collect::<Vec<_>>()).await;
    assert_eq!(state_of(db.pool(), in_time).await, "scheduled");
    assert_eq!(state_of(db.pool(), too_late).await, "dead");
    let letter: (String, String) =
        sqlx::query_as("select category, error_message from engine.dead_letter_queue").fetch_one(db.pool()).await.expect("one letter");
    assert_eq!(letter, ("network".into(), "on purpose".into()));
}

#[tokio::test]
async fn a_suspect_past_its_deadline_does_not_run_either() {
    let db = Database::new().await;
    let id = Client::new(db.pool().clone()).enqueue(&of(&NoOp { n: 1 }).deadline(Utc::now())).await.expect("enqueued").id;
    sqlx::query(
        "with gone as (delete from engine.ready returning lane_id, job_id)
         insert into engine.scheduled (run_at, job_id, lane_id, attempt, alone) select engine.now(), job_id, lane_id, 1, true from gone",
    )
    .execute(db.pool())
    .await
    .expect("made a suspect");
    let worker = Running::start(db.pool(), 1);
    until_state(db.pool(), id, "cancelled").await;
    worker.stop().await;
}
