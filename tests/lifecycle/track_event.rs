//! An event is told once, whatever happens to its telling.

use jobs::clients::customerio::event_id;
use sandbox::Fault;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::outbox::retry_at_once;
use crate::support::{Database, Outside, ledger, run_all};

#[derive(Debug, sqlx::FromRow)]
struct Row {
    status: String,
    attempts: i32,
    last_error: Option<String>,
    customerio_event_id: Option<String>,
    history: i32,
}

async fn put(pool: &PgPool, key: &str, due: &str) -> Uuid {
    sqlx::query_scalar(
        "with ann as (insert into raw_ops.customers (email) values ('ann+' || $1 || '@example.com') returning id, email)
         insert into raw_ops.lifecycle_events (event_name, idempotency_key, customer_id, customer_email, event_data, scheduled_for)
         select 'transition_guide', $1, id, email, '{\"first_name\": \"Ann\", \"recipient\": \"eve@example.com\"}', now() + $2::interval from ann returning id",
    )
    .bind(key)
    .bind(due)
    .fetch_one(pool)
    .await
    .expect("anybody may put a row there")
}

async fn row(pool: &PgPool, id: Uuid) -> Row {
    sqlx::query_as(
        "select status, attempts, last_error, customerio_event_id, jsonb_array_length(error_history) as history
         from raw_ops.lifecycle_events where id = $1",
    )
    .bind(id)
    .fetch_one(pool)
    .await
    .expect("it is there")
}

#[tokio::test]
async fn a_row_becomes_one_event_of_its_customer() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let id = put(db.pool(), "k1", "0").await;
    run_all(&db, outside.kinds()).await;
    let [event] = &outside.customerio.events()[..] else { panic!("one event") };
    assert_eq!((event.name.as_str(), event.customer.as_str(), event.told), ("transition_guide", "ann+k1@example.com", 1));
    assert_eq!((&event.id, &event.data), (&event_id("k1"), &json!({ "first_name": "Ann" })));
    let told = row(db.pool(), id).await;
    assert_eq!((told.status.as_str(), told.attempts, told.customerio_event_id), ("processed", 1, Some(event_id("k1"))));
    ledger::check(db.pool()).await;
}

#[tokio::test]
async fn whatever_goes_wrong_the_event_is_told_again_under_its_id() {
    let faults = [
        Fault::RateLimited(0),
        Fault::Status(503),
        Fault::Status(500),
        Fault::Status(504),
        Fault::Reset,
        Fault::Hang,
        Fault::LostReply,
        Fault::LateReply,
    ];
    for fault in faults {
        let (db, outside) = (Database::new().await, Outside::start().await);
        retry_at_once(db.pool()).await;
        outside.customerio.ask([fault; 2]);
        let id = put(db.pool(), "k1", "0").await;
        run_all(&db, outside.kinds()).await;
        let told = row(db.pool(), id).await;
        assert_eq!((told.status.as_str(), told.attempts, told.last_error, told.history), ("processed", 3, None, 2), "{fault:?}");
        assert_eq!(outside.customerio.events().len(), 1, "{fault:?}");
        outside.stop();
    }
}

#[tokio::test]
async fn an_event_that_is_refused_fails_with_its_words() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    outside.customerio.ask([Fault::Status(400)]);
    let id = put(db.pool(), "k1", "0").await;
    run_all(&db, outside.kinds()).await;
    let refused = row(db.pool(), id).await;
    assert_eq!((refused.status.as_str(), refused.attempts), ("failed", 1));
    assert!(refused.last_error.is_some_and(|words| words.contains("answered 400")));
}

#[tokio::test]
async fn an_event_waits_for_its_time_also_when_that_is_put_off() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    let later = put(db.pool(), "later", "1 hour").await;
    let put_off = put(db.pool(), "put_off", "0").await;
    sqlx::query("update raw_ops.lifecycle_events set scheduled_for = now() + interval '1 second' where id = $1")
        .bind(put_off)
        .execute(db.pool())
        .await
        .expect("put off");
    sqlx::query("update raw_ops.lifecycle_events set status = 'cancelled' where id = $1")
        .bind(later)
        .execute(db.pool())
        .await
        .expect("called off");
    let scheduled = ledger::count(db.pool(), "select count(*) from engine.scheduled where run_at > now() + interval '59 minutes'").await;
    assert_eq!(scheduled, 1, "the job of the later one has its time");
    sqlx::query("update engine.scheduled set run_at = now()").execute(db.pool()).await.expect("time can pass");
    run_all(&db, outside.kinds()).await;
    assert_eq!(row(db.pool(), put_off).await.status, "processed");
    assert_eq!((row(db.pool(), later).await.status.as_str(), outside.customerio.events().len()), ("cancelled", 1));
}
