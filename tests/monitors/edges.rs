//! At the limit all is well; beyond it the monitor warns, and it is well again when the cause is gone.

use serde_json::{Value, json};

use super::shape::look;
use crate::orders::inbox::execute;
use crate::support::{
    Database,
    shelf::{Batch, order, pass, product},
};

/// What a monitor makes of the house after each statement: its status, and a part of its words.
async fn walk(db: &Database, check: &str, steps: &[(&str, &str, &str)]) {
    for (statement, status, words) in steps {
        execute(db.pool(), statement).await;
        let answer = look(db, check).await;
        assert_eq!(answer["status"], *status, "{statement}: {answer}");
        assert!(answer["message"].as_str().is_some_and(|message| message.contains(words)), "{statement}: {answer}");
        let (alerts, channel) = match *status {
            "ok" => (false, Value::Null),
            "warning" => (true, json!("ops-alerts")),
            _ => (true, json!("ops-urgent")),
        };
        assert_eq!((&answer["alert_triggered"], &answer["channel"]), (&json!(alerts), &channel), "{statement}: {answer}");
    }
}

#[tokio::test]
async fn order_ingestion_warns_of_a_backlog_an_old_webhook_and_slow_work() {
    let db = Database::new().await;
    let inbox = "insert into raw_ops.webhook_inbox (topic, raw_headers, raw_payload, processing_status, received_at, processed_at, processing_duration_ms)";
    let slow = format!("{inbox} select 'orders/create', '{{}}', '{{}}', 'success', now(), now()");
    let steps = [
        (
            format!("{inbox} select 'orders/create', '{{}}', '{{}}', 'retrying', now(), null, null from generate_series(1, 100)"),
            "ok",
            "as they should",
        ),
        (format!("{inbox} values ('orders/create', '{{}}', '{{}}', 'failed', now(), null, null)"), "warning", "101 webhooks wait"),
        ("delete from raw_ops.webhook_inbox where processing_status = 'failed'".into(), "ok", ""),
        ("update raw_ops.webhook_inbox set received_at = now() - interval '29 min 50 s' where processing_attempts = 0".into(), "ok", ""),
        (
            "update raw_ops.webhook_inbox set received_at = now() - interval '30 min 10 s'".into(),
            "warning",
            "the oldest has waited 30.2 minutes",
        ),
        ("update raw_ops.webhook_inbox set processing_status = 'ignored'".into(), "ok", ""),
        (format!("{slow}, 5000 from generate_series(1, 19)"), "ok", ""),
        (format!("{slow}, 10000"), "ok", "as they should"),
        (format!("{slow}, 10001"), "warning", "the slowest took 10001 ms"),
        ("update raw_ops.webhook_inbox set processed_at = now() - interval '61 min'".into(), "ok", "as they should"),
        (format!("{slow}, 5001 from generate_series(1, 2)"), "warning", "5 % take longer than 5001 ms"),
    ];
    let steps: Vec<_> = steps.iter().map(|(statement, status, words)| (statement.as_str(), *status, *words)).collect();
    walk(&db, "order_ingestion_slo", &steps).await;
}

#[tokio::test]
async fn the_outbox_warns_of_what_is_unsent_late_failed_or_unknown() {
    let db = Database::new().await;
    let steps = [
        (
            "insert into raw_ops.outbox (target, event_type, payload_json) select 'customerio', 'x', '{}' from generate_series(1, 100)",
            "ok",
            "as they should",
        ),
        (
            "insert into raw_ops.outbox (target, event_type, payload_json, state) values ('customerio', 'y', '{}', 'sending')",
            "warning",
            "101 messages are unsent",
        ),
        ("delete from raw_ops.outbox where event_type = 'y'", "ok", ""),
        ("update raw_ops.outbox set created_at = now() - interval '14 min 50 s'", "ok", ""),
        ("update raw_ops.outbox set created_at = now() - interval '15 min 10 s'", "warning", "the oldest has waited 15.2 minutes"),
        ("update raw_ops.outbox set state = 'sent'", "ok", ""),
        (
            "insert into raw_ops.outbox (target, event_type, payload_json, state) values ('slack', 'z', '{}', 'failed')",
            "warning",
            "1 failed for good",
        ),
        ("update raw_ops.outbox set state = 'unknown' where event_type = 'z'", "warning", "1 may have been sent or not"),
        ("update raw_ops.outbox set state = 'cancelled' where event_type = 'z'", "ok", "as they should"),
    ];
    walk(&db, "outbox_health", &steps).await;
}

#[tokio::test]
async fn stock_warns_when_low_and_is_urgent_when_critical() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    Batch::of(40, 30).put(db.pool(), "b1", beef).await;
    let steps = [
        ("select 1", "ok", "every product has stock"),
        ("update raw_ops.batches set qty_on_hand = 39", "warning", "BEEF has 39"),
        ("update raw_ops.batches set qty_on_hand = 10", "warning", "BEEF has 10"),
        ("update raw_ops.batches set qty_on_hand = 9", "critical", "BEEF has 9"),
        ("update raw_ops.batches set qty_on_hand = 50, status = 'RECALLED'", "critical", "BEEF has 0"),
        ("update raw_ops.batches set status = 'RELEASED'", "ok", ""),
        (
            "insert into raw_ops.inventory (batch_id, location, kg_available) select id, 'A', 25.5 from raw_ops.batches",
            "warning",
            "1 batches differ from inventory",
        ),
        ("update raw_ops.inventory set kg_available = 25", "ok", ""),
    ];
    walk(&db, "stock_levels", &steps).await;
    execute(db.pool(), "update raw_ops.batches set qty_on_hand = 0").await;
    order(db.pool(), &[(beef, 3)]).await;
    let answer = look(&db, "stock_levels").await;
    assert_eq!(answer["message"], "BEEF has 0 and 3 are waited for; 1 batches differ from inventory");
}

#[tokio::test]
async fn the_laboratory_is_late_after_the_days_that_were_agreed() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    let batch = Batch::default().status("QA_HOLD").put(db.pool(), "b1", beef).await;
    let steps = [
        ("update raw_ops.batches set created_at = now() - interval '4 d 23 h 59 min'", "ok", "no lab result is late"),
        ("update raw_ops.batches set created_at = now() - interval '5 d 1 min'", "warning", "no lab result after 5 days: b1"),
        ("update raw_ops.batches set qa_hold_started_at = now() - interval '1 d'", "ok", ""),
        ("update raw_ops.batches set qa_hold_started_at = now() - interval '6 d'", "warning", "b1"),
        ("update raw_ops.batches set status = 'REJECTED'", "ok", ""),
        ("update raw_ops.batches set status = 'QA_HOLD'", "warning", "b1"),
    ];
    walk(&db, "lab_sla", &steps).await;
    pass(db.pool(), batch).await;
    assert_eq!(look(&db, "lab_sla").await["status"], "ok", "a result has come");
}

#[tokio::test]
async fn money_in_quarantine_warns_and_then_is_urgent() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    Batch::default().status("QA_HOLD").put(db.pool(), "b1", beef).await;
    Batch::default().status("QA_HOLD").put(db.pool(), "b2", beef).await;
    let steps = [
        (
            "update raw_ops.batches set total_cost_gbp = 4000 where batch_code = 'b1'",
            "ok",
            "£4000.00 are held in QA in 2 batches, 1 of them without a cost",
        ),
        (
            "update raw_ops.batches set kg_produced = 1000, cogs_per_kg_gbp = 6 where batch_code = 'b2'",
            "ok",
            "£10000.00 are held in QA in 2 batches",
        ),
        ("update raw_ops.batches set total_cost_gbp = 4000.01 where batch_code = 'b1'", "warning", "£10000.01"),
        ("update raw_ops.batches set total_cost_gbp = 19000 where batch_code = 'b1'", "warning", "£25000.00"),
        ("update raw_ops.batches set total_cost_gbp = 19000.01 where batch_code = 'b1'", "critical", "£25000.01"),
        ("update raw_ops.batches set status = 'RELEASED' where batch_code = 'b1'", "ok", "£6000.00 are held in QA in 1 batches"),
    ];
    walk(&db, "working_capital", &steps).await;
}

#[tokio::test]
async fn support_warns_of_a_long_queue_and_an_old_ticket_and_is_urgent_when_escalated() {
    let db = Database::new().await;
    let steps = [
        (
            "insert into raw_ops.support_tickets (customer_email, status) select 'a@example.com', 'in_progress' from generate_series(1, 25)",
            "ok",
            "as they should",
        ),
        ("insert into raw_ops.support_tickets (customer_email, subject) values ('b@example.com', 'new')", "warning", "26 tickets are open"),
        ("update raw_ops.support_tickets set status = 'closed' where subject is null", "ok", ""),
        ("update raw_ops.support_tickets set created_at = now() - interval '7 h 59 min'", "ok", ""),
        ("update raw_ops.support_tickets set created_at = now() - interval '8 h 2 min'", "warning", "the oldest has waited 8.03 hours"),
        (
            "insert into raw_ops.escalation_queue (ticket_id, reason, urgency, queued_at)
             select id, 'dog is ill', 'high', now() from raw_ops.support_tickets where subject = 'new'",
            "critical",
            "1 escalations wait for a person",
        ),
        ("update raw_ops.escalation_queue set processed_at = now()", "warning", ""),
        ("update raw_ops.support_tickets set status = 'resolved'", "ok", "as they should"),
    ];
    walk(&db, "support_queue", &steps).await;
}
