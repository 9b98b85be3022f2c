//! The views of tickets and customers.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::stage::{ago, database, insert, row, rows, stamp, with};

async fn customer(pool: &PgPool, email: &str) -> Uuid {
    insert(pool, "customers", json!({ "email": email, "first_name": "Ada", "last_name": "Byron", "city": "York" })).await
}

async fn ticket(pool: &PgPool, subject: &str, fields: Value) -> Uuid {
    let row = json!({ "subject": subject, "customer_email": "writer@example.com", "created_at": ago(600) });
    insert(pool, "support_tickets", with(row, fields)).await
}

#[tokio::test]
async fn only_open_tickets_are_in_the_queue() {
    let db = database().await;
    for status in ["pending", "in_progress", "awaiting_customer", "escalated", "resolved", "closed"] {
        ticket(db.pool(), status, json!({ "status": status })).await;
    }
    ticket(db.pool(), "undecided", json!({ "status": null })).await;
    let open = rows(db.pool(), "select subject from raw_ops.v_support_queue order by subject").await;
    let subjects: Vec<&str> = open.iter().filter_map(|row| row["subject"].as_str()).collect();
    assert_eq!(subjects, ["awaiting_customer", "escalated", "in_progress", "pending", "undecided"]);
}

#[tokio::test]
async fn a_ticket_waits_from_the_last_word_without_an_answer() {
    // (the customer's last reply, our last answer, waiting since): minutes ago; the ticket itself is 600 minutes old.
    let cases: [(Option<i64>, Option<i64>, Option<i64>); 6] = [
        (None, None, Some(600)),
        (Some(30), None, Some(30)),
        (None, Some(20), None),
        (Some(30), Some(20), None),
        (Some(20), Some(30), Some(20)),
        (Some(20), Some(20), None),
    ];
    let db = database().await;
    for (case, (reply, answer, _)) in cases.iter().enumerate() {
        let fields = json!({ "last_customer_reply_at": reply.map(ago), "last_response_at": answer.map(ago) });
        ticket(db.pool(), &case.to_string(), fields).await;
    }
    let found = rows(
        db.pool(),
        "select waiting_since, extract(epoch from waiting)::integer / 60 as minutes from raw_ops.v_support_queue order by subject",
    )
    .await;
    let expected: Vec<Value> = cases.iter().map(|case| json!({ "waiting_since": case.2.map(ago).map(stamp), "minutes": case.2 })).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_ticket_shows_the_newest_decision_else_what_it_says_itself() {
    let db = database().await;
    let owner = customer(db.pool(), "owner@example.com").await;
    let own = json!({ "customer_id": owner, "ai_category": "old", "ai_confidence": 0.1, "ai_draft_response": "old draft" });
    let decided = ticket(db.pool(), "decided", own).await;
    ticket(db.pool(), "undecided", json!({ "ai_category": "delivery", "ai_escalation_reason": "angry" })).await;
    for (minutes, category, review) in [(40, "first", "rejected"), (10, "newest", "pending"), (20, "middle", "approved")] {
        let fields = json!({
            "ticket_id": decided, "category": category, "confidence_score": 0.9, "draft_response": format!("{category} draft"),
            "review_status": review, "processed_at": ago(minutes),
        });
        insert(db.pool(), "cs_agent_decisions", fields).await;
    }
    let found = rows(
        db.pool(),
        "select subject, category, confidence, draft_response, review_status, escalation_reason, customer_email, customer_name
         from raw_ops.v_support_queue order by subject",
    )
    .await;
    let expected = [
        json!({
            "subject": "decided", "category": "newest", "confidence": 0.9, "draft_response": "newest draft", "review_status": "pending",
            "escalation_reason": null, "customer_email": "owner@example.com", "customer_name": "Ada Byron",
        }),
        json!({
            "subject": "undecided", "category": "delivery", "confidence": null, "draft_response": null, "review_status": null,
            "escalation_reason": "angry", "customer_email": "writer@example.com", "customer_name": null,
        }),
    ];
    assert_eq!(found, expected);
}

/// (minutes ago, status, money)
const ORDERS: [(i64, &str, f64); 6] = [
    (5, "CANCELLED", 10.0),
    (10, "PENDING", 20.5),
    (50, "PAID", 40.25),
    (900, "REFUNDED", 80.0),
    (5000, "DELIVERED", 160.5),
    (9000, "DISPATCHED", 320.0),
];

async fn order(pool: &PgPool, customer: Uuid, (minutes, status, money): (i64, &str, f64)) -> Uuid {
    let fields = json!({
        "customer_id": customer, "ordered_at": ago(minutes), "status": status, "order_number_label": format!("#{minutes}"),
        "total_inc_vat": money, "total_gbp": money,
    });
    insert(pool, "orders", fields).await
}

async fn subscription(pool: &PgPool, customer: Uuid, status: &str, created: DateTime<Utc>) -> Uuid {
    let fields = json!({
        "customer_id": customer, "shopify_subscription_id": format!("seal:{customer}:{status}:{created}"), "status": status,
        "price_gbp": 60, "created_at": created,
    });
    insert(pool, "subscriptions", fields).await
}

#[tokio::test]
async fn a_customer_is_shown_with_what_they_paid_for() {
    let db = database().await;
    let ada = customer(db.pool(), "ada@example.com").await;
    let other = customer(db.pool(), "other@example.com").await;
    order(db.pool(), other, (1, "PAID", 1000.0)).await;
    for each in ORDERS {
        order(db.pool(), ada, each).await;
    }
    let bought: Vec<_> = ORDERS.iter().filter(|order| !["PENDING", "CANCELLED"].contains(&order.1)).collect();
    let kept = bought.iter().filter(|order| order.1 != "REFUNDED").map(|order| order.2).sum::<f64>();
    let newest = ORDERS.iter().min_by_key(|order| order.0).expect("there are orders");
    assert_eq!(
        row(
            db.pool(),
            &format!(
                "select orders, lifetime_value_gbp::float8, first_order_at, last_order_at, newest_order_label, newest_order_status,
                    active_subscriptions, subscription_id, newest_shipment_id, city
                 from raw_ops.v_customer_context where customer_id = '{ada}'"
            )
        )
        .await,
        json!({
            "orders": bought.len(), "lifetime_value_gbp": kept, "first_order_at": stamp(ago(9000)), "last_order_at": stamp(ago(50)),
            "newest_order_label": format!("#{}", newest.0), "newest_order_status": newest.1, "active_subscriptions": 0,
            "subscription_id": null, "newest_shipment_id": null, "city": "York",
        })
    );
}

#[tokio::test]
async fn a_customer_without_anything_is_one_row_of_nothing() {
    let db = database().await;
    customer(db.pool(), "new@example.com").await;
    assert_eq!(
        row(
            db.pool(),
            "select orders, lifetime_value_gbp, last_order_at, newest_order_id, active_subscriptions from raw_ops.v_customer_context"
        )
        .await,
        json!({ "orders": 0, "lifetime_value_gbp": 0, "last_order_at": null, "newest_order_id": null, "active_subscriptions": 0 })
    );
}

#[tokio::test]
async fn the_subscription_shown_is_the_one_that_lives() {
    let db = database().await;
    let (ada, bob) = (customer(db.pool(), "ada@example.com").await, customer(db.pool(), "bob@example.com").await);
    let older = subscription(db.pool(), ada, "active", ago(900)).await;
    let paused = subscription(db.pool(), bob, "paused", ago(900)).await;
    for customer in [ada, bob] {
        subscription(db.pool(), customer, "cancelled", ago(10)).await;
        subscription(db.pool(), customer, "expired", ago(5)).await;
    }
    subscription(db.pool(), ada, "paused", ago(20)).await;
    let newer = subscription(db.pool(), ada, "active", ago(800)).await;
    assert_ne!(older, newer);
    let found = rows(
        db.pool(),
        "select email, active_subscriptions, subscription_id, subscription_status from raw_ops.v_customer_context order by email",
    )
    .await;
    let expected =
        [("ada@example.com", 2, newer, "active"), ("bob@example.com", 0, paused, "paused")].map(|(email, active, id, status)| {
            let subscription = json!({ "email": email, "active_subscriptions": active });
            with(subscription, json!({ "subscription_id": id, "subscription_status": status }))
        });
    assert_eq!(found, expected);
}

#[tokio::test]
async fn the_newest_parcel_is_shown_by_when_it_left_or_was_made() {
    let db = database().await;
    let ada = customer(db.pool(), "ada@example.com").await;
    for (number, (made, left)) in [(500, Some(40)), (50, None), (600, Some(60)), (30, Some(45))].into_iter().enumerate() {
        let order = order(db.pool(), ada, (number as i64 + 1, "DISPATCHED", 10.0)).await;
        let fields = json!({
            "order_id": order, "tracking_no": format!("T{number}"), "status": "IN_TRANSIT", "created_at": ago(made),
            "dispatched_at": left.map(ago),
        });
        insert(db.pool(), "shipments", fields).await;
    }
    assert_eq!(
        row(db.pool(), "select tracking_no, newest_shipment_status, dispatched_at from raw_ops.v_customer_context").await,
        json!({ "tracking_no": "T0", "newest_shipment_status": "IN_TRANSIT", "dispatched_at": stamp(ago(40)) })
    );
}
