//! What the tables refuse by themselves, whoever writes: each rule with a row that keeps it and one that breaks it.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::stage::{insert, with};
use crate::support::Database;

/// A row of each table that others refer to, named by its key in the other rows.
async fn parents(db: &Database) -> Value {
    let pool = db.pool();
    let customer = insert(pool, "customers", json!({ "email": "ada@example.com" })).await;
    let other = insert(pool, "customers", json!({ "email": "bob@example.com" })).await;
    let order = insert(pool, "orders", json!({ "customer_id": customer })).await;
    let item = insert(pool, "order_items", json!({ "order_id": order, "qty": 2, "unit_price_ex_vat": 10 })).await;
    let batch = insert(pool, "batches", json!({ "batch_code": "PR-260301-001", "produced_at": "2026-03-01" })).await;
    let shipment = insert(pool, "shipments", json!({ "order_id": order, "tracking_no": "15501234567890", "status": "IN_TRANSIT" })).await;
    let code = insert(pool, "referral_codes", json!({ "customer_id": customer, "slug": "ada" })).await;
    json!({
        "customer": customer, "other": other, "order": order, "item": item, "batch": batch, "shipment": shipment, "code": code,
    })
}

/// The parents' names in a row, `"@order"`, become their ids.
fn with_parents(mut row: Value, parents: &Value) -> Value {
    for value in row.as_object_mut().expect("a row is an object").values_mut() {
        if let Some(name) = value.as_str().and_then(|text| text.strip_prefix('@')) {
            *value = parents[name].clone();
        }
    }
    row
}

async fn accepts(connection: &mut PgConnection, table: &str, row: &Value) -> Result<(), String> {
    let columns = row.as_object().expect("a row is an object").keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let sql = format!("insert into raw_ops.{table} ({columns}) select {columns} from jsonb_populate_record(null::raw_ops.{table}, $1)");
    let stored = sqlx::query(AssertSqlSafe(sql)).bind(row).execute(connection).await;
    stored.map(drop).map_err(|error| error.as_database_error().and_then(|error| error.constraint()).unwrap_or("another reason").to_owned())
}

/// Table, a row that it takes, what to change in it, and the rule that refuses it then. A row is never stored twice, so
/// a change of nothing asks for a second one.
fn rules() -> Vec<(&'static str, Value, Value, &'static str)> {
    let subscription = json!({ "customer_id": "@customer", "shopify_subscription_id": "1", "seal_subscription_id": "7", "price_gbp": 60 });
    let batch = json!({ "batch_code": "PR-260302-001", "produced_at": "2026-03-02", "production_date": "2026-03-02" });
    let shipment = json!({ "order_id": "@order", "tracking_no": "15500000000000" });
    let event = json!({ "shipment_id": "@shipment", "event_code": "015", "event_time": "2026-03-03T08:00:00Z" });
    let credit = json!({
        "customer_id": "@customer", "amount_pence": 1500, "remaining_pence": 1500, "source_type": "referral",
        "expires_at": "2027-01-01T00:00:00Z",
    });
    let referral = json!({
        "referral_code_id": "@code", "referrer_customer_id": "@customer", "referee_customer_id": "@other",
        "referee_email": "bob@example.com",
    });
    let over = json!({
        "batch_id": "@batch", "batch_code": "PR-260301-001", "override_type": "release", "requester_name": "Ada", "approver_name": "Bob",
        "justification": "retest passed", "evidence_pdf_url": "reports/2.pdf",
    });
    let usage = json!({ "email": "ada@example.com", "address_line_1": "1 high street" });
    let plan = json!({ "customer_id": "@customer", "dog_weight_kg": 100, "daily_grams": 400, "daily_kcal": 900 });
    let movement = json!({ "sku": "BEEF-12", "movement_type": "count", "qty_change": -2, "qty_before": 5, "qty_after": 3 });
    let section = json!({ "section_key": "delivery", "version": 1, "title": "t", "content": "c", "is_active": true });
    let alert = json!({ "channel": "ops-alerts", "severity": "warning", "title": "t", "payload_json": {} });
    let allocation = json!({ "order_item_id": "@item", "batch_id": "@batch", "qty_allocated": 1 });
    let message = json!({ "target": "customerio", "event_type": "order_dispatched", "payload_json": {}, "delivery_id": "d" });
    let area = json!({
        "postcode_prefix": "PO1", "region_name": "Portsmouth", "typical_transit_hours": 48, "delivery_policy": "by noon",
        "checkout_message": "We come before noon",
    });
    vec![
        ("subscriptions", subscription.clone(), json!({ "shopify_subscription_id": "2" }), "subscriptions_seal_subscription_id"),
        ("subscriptions", subscription, json!({ "status": "ACTIVE" }), "subscriptions_status_check"),
        ("batches", batch.clone(), json!({ "production_date": "2026-03-01" }), "batches_production_date_agrees"),
        ("batches", batch, json!({ "qty_reserved": -1 }), "batches_qty_reserved_check"),
        ("shipments", shipment, json!({ "courier": "DPD" }), "idx_shipments_tracking_no_unique"),
        ("courier_events", event, json!({ "event_text": "again" }), "courier_events_once"),
        ("customer_credits", credit.clone(), json!({ "remaining_pence": 1501 }), "customer_credits_remaining_within"),
        ("customer_credits", credit, json!({ "status": "active" }), "customer_credits_status_check"),
        ("referrals", referral.clone(), json!({ "referee_customer_id": "@customer" }), "referrals_not_of_oneself"),
        ("referrals", referral, json!({ "referee_email": "Carl@example.com" }), "referrals_referee_email_check"),
        ("manual_override_audit", over, json!({ "approver_name": " ada " }), "manual_override_audit_two_people"),
        ("calculator_discount_usage", usage.clone(), json!({ "email": "Ada@example.com" }), "calculator_discount_usage_email_check"),
        ("calculator_discount_usage", usage, json!({ "address_line_1": "1  High Street" }), "calculator_discount_usage_address_normalised"),
        ("feeding_plans", plan, json!({ "dog_weight_kg": 100.5 }), "feeding_plans_dog_weight_kg_check"),
        ("inventory_movements", movement, json!({ "qty_after": 4 }), "inventory_movements_add_up"),
        ("ai_knowledge_sections", section, json!({ "version": 2 }), "idx_ai_knowledge_active"),
        ("alert_log", alert.clone(), json!({ "channel": "#ops-alerts" }), "alert_log_channel_check"),
        ("alert_log", alert, json!({ "severity": "CRITICAL" }), "alert_log_severity_check"),
        ("allocations", allocation, json!({ "qty_allocated": 0 }), "allocations_qty_allocated_check"),
        ("allocation_queue", json!({ "order_id": "@order" }), json!({ "state": "PENDING" }), "allocation_queue_state_check"),
        ("outbox", message, json!({ "target": "slack" }), "outbox_delivery_id"),
        ("high_risk_postcodes", area, json!({ "postcode_prefix": "po10" }), "high_risk_postcodes_postcode_prefix_check"),
    ]
}

#[tokio::test]
async fn each_rule_takes_a_good_row_and_refuses_a_bad_one() {
    let db = Database::new().await;
    let parents = parents(&db).await;
    let mut connection = db.pool().acquire().await.expect("a connection");
    for (table, good, change, rule) in rules() {
        let good = with_parents(good, &parents);
        let bad = with(good.clone(), with_parents(change, &parents));

        let mut tx = connection.begin().await.expect("a transaction can begin");
        assert_eq!(accepts(&mut tx, table, &good).await, Ok(()), "{rule}: {good}");
        assert_eq!(accepts(&mut tx, table, &bad).await, Err(rule.to_owned()), "{bad}");
        tx.rollback().await.expect("a transaction can end");
    }
}

#[tokio::test]
async fn a_tracking_number_is_used_again_once_its_parcel_has_arrived() {
    let db = Database::new().await;
    let parents = parents(&db).await;
    let mut connection = db.pool().acquire().await.expect("a connection");
    let again = with_parents(json!({ "order_id": "@order", "tracking_no": "15501234567890" }), &parents);
    let refused = Err("idx_shipments_tracking_no_unique".to_owned());
    for (status, expected) in [("EXCEPTION", refused.clone()), ("DELIVERED", Ok(())), ("RETURNED", refused)] {
        sqlx::query("update raw_ops.shipments set status = $2::raw_ops.shipment_status where id = $1::uuid")
            .bind(parents["shipment"].as_str())
            .bind(status)
            .execute(&mut *connection)
            .await
            .expect("a status can be set");
        // The second parcel of the same number is on its way when the first one is returned.
        assert_eq!(accepts(&mut connection, "shipments", &again).await, expected, "{status}");
    }
}
