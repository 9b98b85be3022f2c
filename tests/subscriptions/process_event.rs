//! Subscriptions become true from webhooks, in whatever order these come.

use std::fs;

use jobs::subscriptions::seal_subscription::SealSubscription;
use serde_json::{Value, json};

use super::{log, receive, subscription, told};
use crate::orders::inbox::{count, execute, paid, process, row};
use crate::support::{Database, run_all, shelf::rows};

const UPDATED: &str = "subscription/updated";

async fn status(db: &Database) -> Value {
    row(db.pool(), "select status from raw_ops.subscriptions").await["status"].take()
}

async fn events(db: &Database) -> Value {
    rows(db.pool(), "select event_type, old_status, new_status from raw_ops.subscription_events order by created_at, event_type").await
}

#[tokio::test]
async fn a_new_subscription_is_written_with_its_customer_and_what_is_to_come() {
    let db = Database::new().await;
    let fields = json!({ "s_address1": "1 Quay Street", "s_city": "Portsmouth", "s_zip": "PO1 2AB", "delivery_interval": "1 month" });
    assert_eq!(told(db.pool(), "subscription/created", &subscription(fields)).await, Ok("created".into()));
    let stored = row(
        db.pool(),
        "select s.seal_subscription_id, s.shopify_subscription_id, s.status, s.frequency_weeks, s.frequency_is_approximate,
                s.delivery_interval, s.price_gbp::text as price, s.next_billing_date, s.shipping_address, s.card_expiry_year, s.variant_id::text,
                s.payment_status, c.shopify_customer_id, c.email, c.first_name
         from raw_ops.subscriptions s join raw_ops.customers c on c.id = s.customer_id",
    )
    .await;
    assert_eq!(
        stored,
        json!({
            "seal_subscription_id": "8458680", "shopify_subscription_id": "25708429559", "status": "active", "frequency_weeks": 4,
            "frequency_is_approximate": true, "delivery_interval": "1 month", "price": "89.00", "next_billing_date": "2025-12-11",
            "shipping_address": "1 Quay Street, Portsmouth, PO1 2AB", "card_expiry_year": 2029, "variant_id": "49692077785335",
            "payment_status": "healthy", "shopify_customer_id": "8885250982135", "email": "ann@example.test", "first_name": "Ann",
        })
    );
    let attempts = rows(db.pool(), "select seal_billing_attempt_id, status, amount_pence from raw_ops.billing_attempts order by 1").await;
    assert_eq!(attempts, json!([["1", "scheduled", 8900], ["2", "scheduled", 8900]]));
    assert_eq!(events(&db).await, json!([["subscription.created", null, "active"]]));
}

#[tokio::test]
async fn what_is_to_come_costs_what_the_subscription_costs_today() {
    let db = Database::new().await;
    told(db.pool(), "subscription/created", &subscription(json!({}))).await.expect("it is sound");
    execute(db.pool(), "update raw_ops.billing_attempts set status = 'failed' where seal_billing_attempt_id = '1'").await;
    let mut document = subscription(json!({ "total_value": 94.5 }));
    document["log"] = log("2026-07-26 12:05:00");
    assert_eq!(told(db.pool(), UPDATED, &document).await, Ok("updated".into()));
    let attempts = rows(db.pool(), "select seal_billing_attempt_id, status, amount_pence from raw_ops.billing_attempts order by 1").await;
    assert_eq!(attempts, json!([["1", "failed", 8900], ["2", "scheduled", 9450]]));
}

#[tokio::test]
async fn what_happened_is_told_by_the_status_before_and_after_and_not_by_the_topic() {
    let db = Database::new().await;
    told(db.pool(), "subscription/created", &subscription(json!({}))).await.expect("it is sound");
    for (minute, topic, fields) in [
        (1, UPDATED, json!({ "status": "PAUSED", "paused_on": "2026-07-26 12:01:00" })),
        (2, UPDATED, json!({ "status": "ACTIVE" })),
        (3, "subscription/cancelled", json!({ "status": "CANCELLED", "cancelled_on": "2026-07-26 12:03:00" })),
        (4, UPDATED, json!({ "status": "ACTIVE" })),
        (5, "subscription/payment_method_updated", json!({ "card_last_digits": "1111" })),
        (6, UPDATED, json!({ "status": "EXPIRED" })),
    ] {
        let mut document = subscription(fields);
        document["log"] = log(&format!("2026-07-26 12:{minute:02}:00"));
        assert_eq!(told(db.pool(), topic, &document).await, Ok("updated".into()), "{minute}");
    }
    assert_eq!(
        events(&db).await,
        json!([
            ["subscription.created", null, "active"],
            ["subscription.paused", "active", "paused"],
            ["subscription.resumed", "paused", "active"],
            ["subscription.cancelled", "active", "cancelled"],
            ["subscription.reactivated", "cancelled", "active"],
            ["subscription.payment_method_updated", "active", "active"],
            ["subscription.expired", "active", "expired"]
        ])
    );
    let last = "select card_last_digits, paused_at, cancelled_at is not null as ended, next_billing_date from raw_ops.subscriptions";
    assert_eq!(
        row(db.pool(), last).await,
        json!({ "card_last_digits": "4242", "paused_at": null, "ended": true, "next_billing_date": null })
    );
}

#[tokio::test]
async fn an_older_webhook_that_comes_late_changes_no_subscription() {
    let db = Database::new().await;
    let mut cancelled = subscription(json!({ "status": "CANCELLED", "cancelled_on": "2026-07-10 09:00:00" }));
    cancelled["log"] = log("2026-07-10 09:00:00");
    assert_eq!(told(db.pool(), "subscription/cancelled", &cancelled).await, Ok("created".into()));
    let mut paused = subscription(json!({ "status": "PAUSED", "paused_on": "2026-07-09 09:00:00" }));
    paused["log"] = log("2026-07-09 09:00:00");
    assert_eq!(told(db.pool(), UPDATED, &paused).await, Ok("stale".into()));
    assert_eq!(told(db.pool(), "subscription/created", &subscription(json!({}))).await, Ok("stale".into()));
    assert_eq!(status(&db).await, "cancelled");
    // Of two of one age, the one that came later is the newer one, however late its job runs.
    let first = receive(db.pool(), UPDATED, &{
        let mut document = cancelled.clone();
        document["total_value"] = json!(1);
        document
    })
    .await;
    assert_eq!(
        told(db.pool(), UPDATED, &{
            let mut document = cancelled.clone();
            document["total_value"] = json!(2);
            document
        })
        .await,
        Ok("updated".into())
    );
    let late: String = sqlx::query_scalar("select outcome from raw_ops.process_seal_webhook_txn($1)")
        .bind(first)
        .fetch_one(db.pool())
        .await
        .expect("it is sound");
    assert_eq!(late, "stale");
    assert_eq!(row(db.pool(), "select price_gbp::text as price from raw_ops.subscriptions").await, json!({ "price": "2.00" }));
}

#[tokio::test]
async fn intervals_of_any_unit_are_kept_as_they_are_and_rounded_to_weeks() {
    let db = Database::new().await;
    for (minute, (interval, weeks, approximate)) in [
        ("2 week", 2, false),
        ("14 days", 2, false),
        ("15 day", 2, true),
        ("1 month", 4, true),
        ("3 day", 1, true),
        ("", 1, true),
        ("fortnight", 1, true),
    ]
    .into_iter()
    .enumerate()
    {
        let mut document = subscription(json!({ "delivery_interval": interval }));
        document["log"] = log(&format!("2026-07-26 12:{minute:02}:00"));
        told(db.pool(), UPDATED, &document).await.expect("it is sound");
        let stored =
            row(db.pool(), "select frequency_weeks as weeks, frequency_is_approximate as approximate from raw_ops.subscriptions").await;
        assert_eq!(stored, json!({ "weeks": weeks, "approximate": approximate }), "{interval}");
    }
}

#[tokio::test]
async fn orders_that_a_subscription_made_are_marked_as_such() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    told(db.pool(), UPDATED, &subscription(json!({ "order_id": "5123456789012345678" }))).await.expect("it is sound");
    assert_eq!(count(db.pool(), "raw_ops.orders where is_subscription").await, 1);
}

#[tokio::test]
async fn a_contract_that_becomes_known_later_is_no_second_subscription() {
    let db = Database::new().await;
    let contract = "select shopify_subscription_id as contract from raw_ops.subscriptions";
    for (minute, id, expected) in [(1, "", "seal:8458680"), (2, "7", "7"), (3, "", "7"), (4, "8", "8")] {
        let mut document = subscription(json!({ "shopify_graphql_subscription_contract_id": id }));
        document["log"] = log(&format!("2026-07-26 12:{minute:02}:00"));
        told(db.pool(), UPDATED, &document).await.expect("it is sound");
        assert_eq!(row(db.pool(), contract).await, json!({ "contract": expected }));
    }
}

#[tokio::test]
async fn a_customer_who_is_known_keeps_what_shopify_says() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    let other = subscription(json!({ "customer_id": "7234567890123456789", "email": "old@example.test", "first_name": "A" }));
    told(db.pool(), UPDATED, &other).await.expect("it is sound");
    let known = row(
        db.pool(),
        "select c.email, c.first_name, s.email as of_seal from raw_ops.customers c join raw_ops.subscriptions s on s.customer_id = c.id",
    )
    .await;
    assert_eq!(known, json!({ "email": "ada@example.test", "first_name": "Ada", "of_seal": "old@example.test" }));
}

#[tokio::test]
async fn what_is_no_subscription_is_named_and_marked() {
    let cases = [
        (
            json!({ "subscription": subscription(json!({})) }),
            "the subscription stands under `subscription`, and not at the top, where Seal writes it",
        ),
        (json!([]), "the payload is not a JSON object"),
        (subscription(json!({ "status": "SLEEPING" })), "status: expected ACTIVE, PAUSED, CANCELLED or EXPIRED"),
        (
            subscription(json!({ "customer_id": "", "email": " " })),
            "customer_id and email are missing: nobody knows whose subscription it is",
        ),
        (subscription(json!({ "card_expiry_month": 13 })), "card_expiry_month: expected a month"),
        (subscription(json!({ "cancelled_on": "soon" })), "cancelled_on: expected a time, such as \"2026-07-26 12:06:00\""),
        (subscription(json!({ "failed_billing_attempt": { "id": "x" } })), "failed_billing_attempt: expected an id, a positive integer"),
    ];
    let db = Database::new().await;
    for (document, _) in &cases {
        receive(db.pool(), UPDATED, document).await;
    }
    run_all(&db, jobs::kinds()).await;
    let reasons = rows(
        db.pool(),
        "select last_error from raw_ops.seal_webhook_inbox where processing_status = 'failed' and error_category = 'validation' order by received_at",
    )
    .await;
    let expected: Vec<Value> = cases.iter().map(|(_, reason)| json!([reason])).collect();
    assert_eq!(reasons, json!(expected));
    assert_eq!(count(db.pool(), "raw_ops.subscriptions").await, 0);
}

/// The cases that were captured, where the collection of them is beside the project; as webhooks they are in `webhooks::seal`.
#[tokio::test]
async fn every_captured_case_is_read_or_refused_by_name() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/fixtures/seal/webhooks.json");
    let Ok(text) = fs::read_to_string(path) else { return };
    let all: Value = serde_json::from_str(&text).expect("the cases are JSON");
    let db = Database::new().await;
    for (name, case) in all["cases"].as_object().expect("cases by name") {
        let topic = case["headers"]["X-Seal-Topic"].as_str().expect("a topic");
        let read = SealSubscription::parse(&case["body"]);
        if name.starts_with("nested") {
            assert!(read.is_err(), "{name}");
            continue;
        }
        read.unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        if name.starts_with("nul") {
            continue;
        }
        execute(db.pool(), "truncate raw_ops.subscriptions, raw_ops.billing_attempts, raw_ops.subscription_events cascade").await;
        assert_eq!(told(db.pool(), topic, &case["body"]).await, Ok("created".into()), "{name}");
        let expected = case["body"]["status"].as_str().expect("a status").to_lowercase();
        assert_eq!(status(&db).await, expected.as_str(), "{name}");
        assert_eq!(told(db.pool(), topic, &case["body"]).await, Ok("updated".into()), "{name}");
        assert_eq!(status(&db).await, expected.as_str(), "{name}");
    }
}
