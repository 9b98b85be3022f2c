//! The lives in a seeded company hang together: parcels, batches, subscriptions, tickets, webhooks.

use sqlx::AssertSqlSafe;

use super::{none, seeded};
use crate::support::{Database, ledger::count};

#[tokio::test]
async fn parcels_belong_to_orders_that_were_sent() {
    let db = seeded(1_000).await;
    none(
        &db,
        "a shipment of an order that was not sent",
        "
        select o.order_number_label from raw_ops.shipments s join raw_ops.orders o on o.id = s.order_id
        where o.status not in ('DISPATCHED', 'DELIVERED', 'REFUNDED')",
    )
    .await;
    none(
        &db,
        "an order that was sent without shipment",
        "
        select o.order_number_label from raw_ops.orders o where o.status in ('DISPATCHED', 'DELIVERED')
          and not exists (select from raw_ops.shipments s where s.order_id = o.id)",
    )
    .await;
    none(
        &db,
        "a delivered shipment without a last scan",
        "
        select s.tracking_no from raw_ops.shipments s where s.status = 'DELIVERED' and not exists (
            select from raw_ops.courier_events e where e.shipment_id = s.id and e.event_code = '001' and e.event_time = s.delivered_at)",
    )
    .await;
    none(
        &db,
        "a scan whose code is not mapped",
        "
        select e.event_code from raw_ops.courier_events e left join raw_ops.courier_event_mapping m
            on m.courier_name = 'DPD' and m.event_code = e.event_code and m.event_type = e.event_type
        where m.id is null",
    )
    .await;
    none(
        &db,
        "a delivery on a Sunday",
        "
        select s.tracking_no from raw_ops.shipments s where extract(isodow from s.delivered_at at time zone 'Europe/London') = 7",
    )
    .await;
    none(
        &db,
        "a box that was checked against another instruction",
        "
        select c.id::text from raw_ops.pack_quality_checks c join raw_ops.packing_instructions p on p.id = c.packing_instruction_id
        where p.order_id <> c.order_id",
    )
    .await;
    none(
        &db,
        "a life in the wrong order",
        "
        select s.tracking_no from raw_ops.shipments s join raw_ops.orders o on o.id = s.order_id
        join raw_ops.customers c on c.id = o.customer_id
        where not (c.created_at <= o.ordered_at and o.ordered_at < o.exported_at and o.exported_at < s.created_at
                   and s.created_at < s.dispatched_at and s.dispatched_at < coalesce(s.delivered_at, 'infinity'))",
    )
    .await;
}

#[tokio::test]
async fn nothing_happens_after_the_end() {
    let db = seeded(400).await;
    let columns: Vec<(String, String)> = sqlx::query_as(
        "select table_name::text, column_name::text from information_schema.columns
         where table_schema = 'raw_ops' and data_type = 'timestamp with time zone' and table_name not like 'v\\_%'
           and column_name not in ('expires_at', 'scheduled_at', 'csat_survey_scheduled_for')
           and table_name not in ('retry_config', 'system_config', 'config', 'server_key', 'allocation_alert_config')",
    )
    .fetch_all(db.pool())
    .await
    .expect("columns can be listed");
    assert!(columns.len() > 200, "{}", columns.len());
    for (table, column) in columns {
        let late = format!("select count(*) from raw_ops.{table} where {column} > timestamptz '2026-03-01 12:00Z'");
        let late: i64 =
            sqlx::query_scalar(AssertSqlSafe(late)).fetch_one(db.pool()).await.unwrap_or_else(|error| panic!("{table}.{column}: {error}"));
        assert_eq!(late, 0, "{table}.{column}");
    }
}

#[tokio::test]
async fn batches_are_released_on_evidence() {
    let db = seeded(2_000).await;
    none(
        &db,
        "a released batch without a pass, or two people's word on an unclear one",
        "
        select b.batch_code from raw_ops.batches b left join raw_ops.lab_results r on r.batch_id = b.id
        where b.released_at is not null and r.outcome is distinct from 'PASS' and not (
            r.outcome = 'REVIEW' and exists (select from raw_ops.manual_override_audit m where m.batch_id = b.id))",
    )
    .await;
    none(
        &db,
        "a pass that the rules of release would refuse",
        "
        select b.batch_code from raw_ops.batches b join raw_ops.lab_results r on r.batch_id = b.id
        where r.outcome = 'PASS' and raw_ops.lab_samples_refusal(r.id) is not null",
    )
    .await;
    none(
        &db,
        "a failure that the rules of release would let through",
        "
        select b.batch_code from raw_ops.batches b join raw_ops.lab_results r on r.batch_id = b.id
        where r.outcome = 'FAIL' and (b.status <> 'REJECTED' or raw_ops.lab_samples_refusal(r.id) is null)",
    )
    .await;
    none(
        &db,
        "a decision that is not made of five samples",
        "
        select r.id::text from raw_ops.lab_results r
        where (select count(*) from raw_ops.lab_result_samples s where s.lab_result_id = r.id) <> 5",
    )
    .await;
    none(
        &db,
        "a batch whose history does not end where it stands",
        "
        select b.batch_code from raw_ops.batches b where b.status::text is distinct from (
            select h.new_status from raw_ops.batch_status_history h where h.batch_id = b.id order by h.created_at desc limit 1)",
    )
    .await;
}

#[tokio::test]
async fn subscriptions_are_what_their_events_say() {
    let db = seeded(2_000).await;
    none(&db, "a subscription whose last event says something else", "
        select s.seal_subscription_id || ' ' || s.status from raw_ops.subscriptions s where s.status is distinct from (
            select e.new_status from raw_ops.subscription_events e where e.subscription_id = s.id order by e.event_at desc, e.created_at desc limit 1)").await;
    none(
        &db,
        "a paid billing without its order, or with somebody else's",
        "
        select a.seal_billing_attempt_id from raw_ops.billing_attempts a left join raw_ops.orders o on o.id = a.order_id
        where a.status = 'success' and (o.customer_id is distinct from a.customer_id or o.total_inc_vat * 100 <> a.amount_pence)",
    )
    .await;
    none(
        &db,
        "a subscription in dunning that does not say so",
        "
        select s.seal_subscription_id from raw_ops.subscriptions s
        where s.status = 'active' and (s.payment_status = 'failing') is distinct from exists (
            select from raw_ops.billing_attempts a where a.subscription_id = s.id and a.status = 'failed')",
    )
    .await;
    for status in ["active", "paused", "cancelled"] {
        let rows: i64 = sqlx::query_scalar("select count(*) from raw_ops.subscriptions where status = $1")
            .bind(status)
            .fetch_one(db.pool())
            .await
            .expect("a count");
        assert!(rows > 0, "{status}");
    }
}

#[tokio::test]
async fn health_scores_count_what_there_is() {
    let db = seeded(800).await;
    none(
        &db,
        "a customer whose figures are not those of their rows",
        "
        select c.email::text from raw_ops.customers c join raw_ops.customer_health_scores h on h.customer_id = c.id
        where h.support_tickets_count <> (select count(*) from raw_ops.support_tickets t where t.customer_id = c.id)
           or h.total_orders_delivered <> (select count(*) from raw_ops.shipments s join raw_ops.orders o on o.id = s.order_id
                                           where o.customer_id = c.id and s.status = 'DELIVERED')",
    )
    .await;
    none(
        &db,
        "a customer of no example domain, or with a telephone that could ring",
        "
        select c.email::text from raw_ops.customers c
        where c.email not like '%@example.org' or c.phone !~ '^\\+447700900[0-9]{3}$'",
    )
    .await;
}

/// Rows of orders as the product's own reading of the webhooks makes them.
const READ: &str = "
    select o.shopify_order_id, o.status in ('CANCELLED', 'PENDING') as ended, o.subtotal_ex_vat::text, o.vat::text, o.total_inc_vat::text,
        o.discount_gbp::text, o.is_subscription, o.ship_postcode, c.email::text,
        string_agg(concat_ws(':', i.shopify_line_item_id, i.sku, i.qty, i.unit_price_ex_vat), ' ' order by i.shopify_line_item_id)
    from raw_ops.orders o join raw_ops.customers c on c.id = o.customer_id join raw_ops.order_items i on i.order_id = o.id
    where o.shopify_order_id in (select w.shopify_order_id::text from raw_ops.webhook_inbox w)
    group by o.id, c.id order by 1";

type Read = (String, bool, String, String, String, String, bool, String, String, String);

async fn read(db: &Database) -> Vec<Read> {
    sqlx::query_as(READ).fetch_all(db.pool()).await.expect("orders can be read")
}

#[tokio::test]
async fn the_product_reads_the_webhooks_as_the_orders_that_are_there() {
    let (told, fresh) = (seeded(600).await, Database::new().await);
    let webhooks: Vec<(String, Vec<u8>)> =
        sqlx::query_as("select topic, raw_body from raw_ops.webhook_inbox order by triggered_at, topic desc")
            .fetch_all(told.pool())
            .await
            .expect("webhooks");
    assert!(webhooks.len() > 10);
    for (topic, body) in webhooks {
        let document: serde_json::Value = serde_json::from_slice(&body).expect("a document");
        let stored = "insert into raw_ops.webhook_inbox (topic, raw_headers, raw_payload, processing_status, source) values ($1, '{}', $2, 'ignored', 'shopify') returning id";
        let id: uuid::Uuid =
            sqlx::query_scalar(stored).bind(topic).bind(document).fetch_one(fresh.pool()).await.expect("a webhook can be stored");
        sqlx::query("select raw_ops.process_order_webhook_txn($1)").bind(id).execute(fresh.pool()).await.expect("the order is sound");
    }
    assert_eq!(read(&told).await, read(&fresh).await);
    assert_eq!(count(told.pool(), "select count(*) from raw_ops.webhook_inbox where body_sha256 <> sha256(raw_body)").await, 0);
}
