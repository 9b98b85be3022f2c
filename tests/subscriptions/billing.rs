//! Payments of subscriptions: tries of one attempt, dunning, and attempts that go away.

use serde_json::{Value, json};

use super::{attempt, log, subscription, told};
use crate::orders::inbox::{count, row};
use crate::support::{Database, shelf::rows};

const FAILED: &str = "billing_attempt/failed";
const SUCCEEDED: &str = "billing_attempt/succeeded";
const DUE: &str = "2025-12-11T15:00:00+00:00";

/// The webhook of a try that failed: the attempt's id and date stay, the number of tries grows.
fn failed(tries: i64) -> Value {
    let at = format!("2025-12-{:02}T15:00:09+00:00", 10 + tries);
    subscription(json!({
        "billing_attempts": [attempt(1, DUE, json!({ "status": "failed", "error_message": "Your card was declined." })), attempt(2, "2026-01-08T15:00:00+00:00", json!({}))],
        "failed_billing_attempt": { "id": 1, "date": DUE, "status": "error", "completed_at": at, "number_of_tries": tries },
        "log": log(&format!("2025-12-{:02} 15:00:10", 10 + tries)),
    }))
}

fn succeeded() -> Value {
    subscription(json!({
        "billing_attempts": [attempt(1, DUE, json!({ "status": "success", "order_id": "99", "completed_at": "2025-12-13T15:00:00+00:00" })), attempt(2, "2026-01-08T15:00:00+00:00", json!({}))],
        "processed_billing_attempt": { "id": 1, "date": DUE, "completed_at": "2025-12-13T15:00:00+00:00", "number_of_tries": 3 },
        "log": log("2025-12-13 15:00:01"),
    }))
}

async fn payment(db: &Database) -> Value {
    rows(
        db.pool(),
        "select s.payment_status, s.failed_payment_count, (s.dunning_started_at at time zone 'UTC')::date, b.status, b.retry_count, s.last_error_message
         from raw_ops.subscriptions s join raw_ops.billing_attempts b on b.subscription_id = s.id and b.seal_billing_attempt_id = '1'",
    )
    .await
}

#[tokio::test]
async fn four_tries_are_one_attempt_four_events_and_one_dunning_in_whatever_order_they_come() {
    for order in [[1, 2, 3, 4], [4, 2, 1, 3]] {
        let db = Database::new().await;
        for tries in order {
            told(db.pool(), FAILED, &failed(tries)).await.expect("it is sound");
            told(db.pool(), FAILED, &failed(tries)).await.expect("it is sound");
        }
        assert_eq!(payment(&db).await, json!([["failing", 4, "2025-12-11", "failed", 3, "Your card was declined."]]), "{order:?}");
        let tries = rows(
            db.pool(),
            "select payload ->> 'tries' from raw_ops.subscription_events where event_type = 'billing_attempt.failed' order by 1",
        )
        .await;
        assert_eq!(tries, json!([["1"], ["2"], ["3"], ["4"]]));
        let payments = rows(db.pool(), "select attempt_number, event_type, failure_reason from raw_ops.payment_events order by 1").await;
        let declined = |number: i32| json!([number, "payment_failed", "Your card was declined."]);
        assert_eq!(payments, json!([declined(1), declined(2), declined(3), declined(4)]));
        assert_eq!(count(db.pool(), "raw_ops.billing_attempts").await, 2);
    }
}

#[tokio::test]
async fn a_success_ends_dunning_and_a_failure_that_comes_after_it_begins_none() {
    let db = Database::new().await;
    told(db.pool(), FAILED, &failed(1)).await.expect("it is sound");
    assert_eq!(told(db.pool(), SUCCEEDED, &succeeded()).await, Ok("updated".into()));
    let healthy = json!([["healthy", 0, null, "success", 2, null]]);
    assert_eq!(payment(&db).await, healthy);
    assert_eq!(told(db.pool(), FAILED, &failed(2)).await, Ok("stale".into()));
    assert_eq!(payment(&db).await, healthy);
    let recovered =
        row(db.pool(), "select attempt_number, amount_pence from raw_ops.payment_events where event_type = 'payment_recovered'").await;
    assert_eq!(recovered, json!({ "attempt_number": 3, "amount_pence": 8900 }));
    assert_eq!(row(db.pool(), "select next_billing_date as next from raw_ops.subscriptions").await, json!({ "next": "2026-01-08" }));
}

#[tokio::test]
async fn a_failure_that_was_paid_already_is_none() {
    let db = Database::new().await;
    let mut paid = failed(1);
    paid["billing_attempts"][0]["error_code"] = json!("INVOICE_ALREADY_PAID");
    told(db.pool(), FAILED, &paid).await.expect("it is sound");
    assert_eq!(count(db.pool(), "raw_ops.subscriptions where payment_status = 'healthy' and dunning_started_at is null").await, 1);
}

#[tokio::test]
async fn a_cycle_that_turns_out_to_be_paid_ends_the_dunning_that_its_failure_began() {
    let db = Database::new().await;
    told(db.pool(), FAILED, &failed(1)).await.expect("it is sound");
    assert_eq!(count(db.pool(), "raw_ops.subscriptions where payment_status = 'failing'").await, 1);
    let mut paid = failed(2);
    paid["billing_attempts"][0]["error_code"] = json!("INVOICE_ALREADY_PAID");
    told(db.pool(), FAILED, &paid).await.expect("it is sound");
    let healthy = "raw_ops.subscriptions where payment_status = 'healthy' and dunning_started_at is null and failed_payment_count = 0";
    assert_eq!(count(db.pool(), healthy).await, 1);
}

#[tokio::test]
async fn a_subscription_that_is_cancelled_unpaid_has_failed() {
    let db = Database::new().await;
    told(db.pool(), FAILED, &failed(4)).await.expect("it is sound");
    let mut cancelled = failed(4);
    cancelled["status"] = json!("CANCELLED");
    cancelled["log"] = log("2025-12-15 00:00:00");
    told(db.pool(), "subscription/cancelled", &cancelled).await.expect("it is sound");
    assert_eq!(count(db.pool(), "raw_ops.subscriptions where payment_status = 'failed' and status = 'cancelled'").await, 1);
}

#[tokio::test]
async fn attempts_that_a_newest_document_does_not_show_are_cancelled_and_skipped_ones_may_come_back() {
    let db = Database::new().await;
    let states = async || rows(db.pool(), "select seal_billing_attempt_id, status from raw_ops.billing_attempts order by 1").await;
    let mut document = subscription(json!({}));
    told(db.pool(), "subscription/created", &document).await.expect("it is sound");
    document["billing_attempts"] = json!([
        attempt(2, "2026-01-08T15:00:00+00:00", json!({ "status": "skipped" })),
        attempt(3, "2026-02-05T15:00:00+00:00", json!({}))
    ]);
    document["log"] = log("2025-11-12 00:00:00");
    told(db.pool(), "subscription/updated", &document).await.expect("it is sound");
    assert_eq!(states().await, json!([["1", "cancelled"], ["2", "skipped"], ["3", "scheduled"]]));
    assert_eq!(told(db.pool(), "subscription/created", &subscription(json!({}))).await, Ok("stale".into()));
    assert_eq!(states().await, json!([["1", "cancelled"], ["2", "skipped"], ["3", "scheduled"]]), "an older document");
    document["billing_attempts"][0]["status"] = json!("");
    document["log"] = log("2025-11-13 00:00:00");
    told(db.pool(), "subscription/updated", &document).await.expect("it is sound");
    assert_eq!(states().await, json!([["1", "cancelled"], ["2", "scheduled"], ["3", "scheduled"]]));
}
