//! What webhooks missed is found by asking Shopify, and comes in as if its webhook had come.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use engine::{Client, Kinds, NewJob};
use jobs::clients::{self, Secret, shopify};
use jobs::webhooks::ReconcileOrders;
use sandbox::Fault;
use sandbox::shopify::{Admin, AdminOptions};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::orders::inbox::{count, execute, paid, process, row};
use crate::support::{Database, Outside, outside, run_all, shelf::rows};

const TOKEN: &str = "shpat_token";
const SHOP: &str = "protocol-raw.myshopify.com";

/// A shop whose API answers, beside a Slack that takes alerts.
struct Shop {
    admin: Admin,
    outside: Outside,
    _stop: DropGuard,
}

impl Shop {
    async fn of(options: AdminOptions) -> Self {
        let stop = CancellationToken::new();
        let admin = Admin::start(options, stop.clone()).await.expect("a sandbox");
        Self { admin, outside: Outside::start().await, _stop: stop.drop_guard() }
    }

    async fn start() -> Self {
        Self::of(AdminOptions::new(TOKEN)).await
    }

    fn settings(&self) -> clients::Settings {
        let shopify = shopify::Settings {
            shop: Some(SHOP.into()),
            token: Some(Secret::new(TOKEN)),
            url: Some(self.admin.url().into()),
            rest_per_second: Some(1_000.0),
            ..shopify::Settings::default()
        };
        clients::Settings { shopify, ..self.outside.settings() }
    }

    fn kinds(&self) -> Kinds {
        outside::with(&self.settings())
    }
}

fn ago(minutes: i64) -> DateTime<Utc> {
    Utc::now() - TimeDelta::minutes(minutes)
}

/// An order of this id that changed so many minutes ago.
pub fn order(id: i64, minutes: i64) -> Value {
    let mut document = paid();
    document["id"] = json!(id);
    document["updated_at"] = json!(ago(minutes).to_rfc3339_opts(SecondsFormat::Secs, true));
    for (place, line) in document["line_items"].as_array_mut().expect("an order has lines").iter_mut().enumerate() {
        line["id"] = json!(id * 10 + place as i64);
    }
    document
}

/// Runs the job and all that follows; what it said.
async fn reconcile(db: &Database, kinds: Kinds) -> Value {
    let job = NewJob::of(&ReconcileOrders {}).expect("the arguments are JSON");
    let id = Client::new(db.pool().clone()).enqueue(&job).await.expect("the queue takes the job").id;
    run_all(db, kinds).await;
    row(db.pool(), &format!("select output from engine.job_state where id = {id}")).await["output"].take()
}

#[tokio::test]
async fn an_order_that_no_webhook_told_of_is_found_with_its_refunds_and_fulfilments() {
    let (db, shop) = (Database::new().await, Shop::start().await);
    let mut missed = order(1, 60);
    missed["refunds"] = json!([{ "id": 5, "order_id": 1, "created_at": "2026-03-29T02:00:05+01:00",
        "transactions": [{ "kind": "refund", "status": "success", "amount": "5.00", "currency": "GBP" }] }]);
    missed["fulfillments"] = json!([{ "id": 6, "order_id": 1, "status": "success", "updated_at": "2026-03-30T09:00:00Z",
        "line_items": [{ "id": 10, "quantity": 4 }] }]);
    let known = order(2, 60);
    process(db.pool(), &known).await.expect("the order is sound");
    for document in [missed, known, order(3, 5)] {
        shop.admin.put(document);
    }
    assert_eq!(reconcile(&db, shop.kinds()).await, json!({ "looked_at": 2, "missed": 1 }), "the one of five minutes ago may be on its way");
    let written = row(
        db.pool(),
        "select r.amount_gbp::text as refunded, i.fulfilled_qty from raw_ops.orders o
         join raw_ops.refunds r on r.order_id = o.id join raw_ops.order_items i on i.order_id = o.id and i.fulfilled_qty > 0
         where o.shopify_order_id = '1'",
    )
    .await;
    assert_eq!(written, json!({ "refunded": "5.00", "fulfilled_qty": 4 }));
    let inbox = rows(
        db.pool(),
        "select topic, shop, processing_status from raw_ops.webhook_inbox where webhook_id like 'reconciled:%' order by topic",
    )
    .await;
    assert_eq!(
        inbox,
        json!([["fulfillments/update", SHOP, "success"], ["orders/updated", SHOP, "success"], ["refunds/create", SHOP, "success"]])
    );
    let alert = row(db.pool(), "select severity, title from raw_ops.alert_log where source_check = 'webhooks'").await;
    assert_eq!(alert, json!({ "severity": "warning", "title": "Webhooks of Shopify were missed" }));
    assert_eq!(reconcile(&db, shop.kinds()).await["missed"], 0, "it goes on where it was");
}

#[tokio::test]
async fn a_refund_and_a_fulfilment_of_which_only_their_order_tells_are_found_once() {
    let (db, shop) = (Database::new().await, Shop::start().await);
    let (mut told, mut refund) =
        (order(1, 60), json!({ "id": 7, "order_id": 1, "created_at": "2026-03-29T02:00:05+01:00", "transactions": [] }));
    process(db.pool(), &told).await.expect("the order is sound");
    crate::orders::inbox::receive(db.pool(), "refunds/create", &refund).await;
    run_all(&db, shop.kinds()).await;
    let known = refund.clone();
    refund["id"] = json!(5);
    refund["transactions"] = json!([{ "kind": "refund", "status": "success", "amount": "5.00", "currency": "GBP" }]);
    told["refunds"] = json!([known, refund]);
    told["fulfillments"] =
        json!([{ "id": 6, "status": "success", "updated_at": "2026-03-30T09:00:00Z", "line_items": [{ "id": 10, "quantity": 4 }] }]);
    told["updated_at"] = json!(ago(50).to_rfc3339_opts(SecondsFormat::Secs, true));
    process(db.pool(), &told).await.expect("the order is sound");
    assert_eq!(reconcile(&db, shop.kinds()).await["missed"], 0, "their webhooks may be on their way");
    execute(db.pool(), "update raw_ops.webhook_inbox set processed_at = now() - interval '11 minutes'").await;
    execute(
        db.pool(),
        "update raw_ops.system_config set value = (now() - interval '1 hour')::text where key = 'shopify.orders_reconciled_until'",
    )
    .await;
    assert_eq!(reconcile(&db, shop.kinds()).await["missed"], 1);
    let written = "select r.shopify_refund_id, r.amount_gbp::text, i.fulfilled_qty from raw_ops.orders o
        join raw_ops.refunds r on r.order_id = o.id join raw_ops.order_items i on i.order_id = o.id and i.fulfilled_qty > 0";
    assert_eq!(rows(db.pool(), written).await, json!([["5", "5.00", 4]]));
    execute(
        db.pool(),
        "update raw_ops.system_config set value = (now() - interval '1 hour')::text where key = 'shopify.orders_reconciled_until'",
    )
    .await;
    assert_eq!(reconcile(&db, shop.kinds()).await["missed"], 0, "they are known now");
}

#[tokio::test]
async fn a_change_is_missed_only_where_nothing_newer_is_here_or_waits() {
    let (db, shop) = (Database::new().await, Shop::start().await);
    for id in 1..=4 {
        process(db.pool(), &order(id, 120)).await.expect("the order is sound");
        shop.admin.put(order(id, 60));
    }
    // Of the first the webhook came and its job waits; of the second it failed; of the third it was kept as a replay.
    for (id, status) in [(1, "pending"), (2, "failed"), (3, "suspected_replay")] {
        let mut tx = db.pool().begin().await.expect("a transaction");
        for statement in [
            "set local rawops.seeding = on".to_string(),
            format!(
                "insert into raw_ops.webhook_inbox (topic, raw_headers, raw_payload, shopify_order_id, processing_status)
                 values ('orders/updated', '{{}}', '{{}}', {id}, '{status}')"
            ),
        ] {
            sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *tx).await.expect("the statement is sound");
        }
        tx.commit().await.expect("a commit");
    }
    assert_eq!(reconcile(&db, shop.kinds()).await, json!({ "looked_at": 4, "missed": 2 }));
    let found = rows(db.pool(), "select shopify_order_id from raw_ops.webhook_inbox where webhook_id like 'reconciled:%' order by 1").await;
    assert_eq!(found, json!([[3], [4]]));
}

#[tokio::test]
async fn many_pages_are_read_at_the_rate_of_the_bucket_and_none_is_refused() {
    // Each page of a hundred costs 102 points: one fits, and the next has to wait for a fifth of a second.
    let options = AdminOptions { bucket: 110.0, restore_rate: 500.0, ..AdminOptions::new(TOKEN) };
    let (db, shop) = (Database::new().await, Shop::of(options).await);
    for id in 1..=450 {
        let known = order(id, 600 - id);
        execute(
            db.pool(),
            &format!(
                "insert into raw_ops.orders (shopify_order_id, updated_at_shopify) values ('{id}', '{}')",
                known["updated_at"].as_str().expect("a time")
            ),
        )
        .await;
        shop.admin.put(if id == 333 { order(id, 200) } else { known });
    }
    let begun = std::time::Instant::now();
    assert_eq!(reconcile(&db, shop.kinds()).await, json!({ "looked_at": 450, "missed": 1 }));
    assert!(begun.elapsed() > Duration::from_millis(600), "four pages wait: {:?}", begun.elapsed());
    assert_eq!(shop.admin.throttled(), 0);
}

#[tokio::test]
async fn a_bucket_that_others_have_emptied_puts_the_job_off_and_nothing_is_lost() {
    let options = AdminOptions { bucket: 103.0, restore_rate: 100.0, ..AdminOptions::new(TOKEN) };
    let (db, shop) = (Database::new().await, Shop::of(options).await);
    execute(db.pool(), "update raw_ops.retry_config set backoff_seconds = '{0}' where error_category = 'rate_limited'").await;
    shop.admin.put(order(1, 60));
    // Another program takes all points.
    let body = json!({ "variables": { "first": 100, "filter": "" } });
    let others = reqwest::Client::new().post(format!("{}/admin/api/2026-07/graphql.json", shop.admin.url()));
    others.header("x-shopify-access-token", TOKEN).json(&body).send().await.expect("it answers");
    assert_eq!(reconcile(&db, shop.kinds()).await, json!({ "looked_at": 1, "missed": 1 }));
    assert_eq!(shop.admin.throttled(), 1);
    let first = "select category from engine.attempt where outcome = 'failed' limit 1";
    assert_eq!(row(db.pool(), first).await["category"], "rate_limited");
}

#[tokio::test]
async fn an_outage_in_between_loses_no_page_and_finds_nothing_twice() {
    for faults in [vec![Fault::Status(500)], vec![Fault::LostReply], vec![Fault::Reset, Fault::Garbage]] {
        let (db, shop) = (Database::new().await, Shop::start().await);
        execute(
            db.pool(),
            "update raw_ops.retry_config set backoff_seconds = '{0}' where error_category in ('upstream', 'network', 'timeout')",
        )
        .await;
        for id in 1..=3 {
            shop.admin.put(order(id, 60));
        }
        shop.admin.ask(faults.clone());
        assert_eq!(reconcile(&db, shop.kinds()).await["missed"], 3, "{faults:?}");
        assert_eq!(count(db.pool(), "raw_ops.orders").await, 3);
        assert_eq!(count(db.pool(), "raw_ops.webhook_inbox where processing_status = 'success'").await, 3);
    }
}

/// The crash matrix: after the question, after each page's commit, and at the end.
#[tokio::test]
async fn stopped_after_any_step_it_goes_on_and_finds_each_order_once() {
    let (db, shop) = (Database::new().await, Shop::start().await);
    for id in 1..=2 {
        shop.admin.put(order(id, 60));
    }
    // Stopped after an order was laid into the inbox and before how far it got was written: never, these are one commit. After
    // that commit, and before the job's end:
    let document = order(1, 60).to_string();
    for made in [Some(1), Some(0)] {
        let stored: Option<i32> = sqlx::query_scalar("select raw_ops.store_missed_order($1, $2)")
            .bind(SHOP)
            .bind(&document)
            .fetch_one(db.pool())
            .await
            .expect("it is stored");
        assert_eq!(stored, made);
    }
    for _ in 0..2 {
        assert!(reconcile(&db, shop.kinds()).await["missed"].as_i64().is_some_and(|missed| missed <= 1));
        assert_eq!(count(db.pool(), "raw_ops.orders").await, 2);
        assert_eq!(count(db.pool(), "raw_ops.webhook_inbox").await, 2);
    }
}

#[tokio::test]
async fn an_order_that_cannot_be_kept_is_noted_and_stops_no_other() {
    let (db, shop) = (Database::new().await, Shop::start().await);
    let mut wrong = order(1, 61);
    wrong["note"] = json!("\u{0}");
    shop.admin.put(wrong);
    shop.admin.put(order(2, 60));
    assert_eq!(reconcile(&db, shop.kinds()).await, json!({ "looked_at": 2, "missed": 1 }));
    assert_eq!(count(db.pool(), "raw_ops.ops_events where kind = 'ORDER_NOT_RECONCILED'").await, 1);
    assert_eq!(count(db.pool(), "raw_ops.orders where shopify_order_id = '2'").await, 1);
}

#[tokio::test]
async fn without_a_token_nothing_is_asked_and_with_a_wrong_one_people_hear_of_it() {
    let (db, shop) = (Database::new().await, Shop::start().await);
    shop.admin.put(order(1, 60));
    let nowhere = clients::Settings { shopify: shopify::Settings::default(), ..shop.outside.settings() };
    assert_eq!(reconcile(&db, outside::with(&nowhere)).await, json!({ "skipped": "SHOPIFY_ADMIN_TOKEN is not set" }));
    let mut settings = shop.settings();
    settings.shopify.token = Some(Secret::new("shpat_another"));
    execute(db.pool(), "update raw_ops.retry_config set max_attempts = 1 where error_category = 'auth'").await;
    assert_eq!(reconcile(&db, outside::with(&settings)).await, Value::Null);
    let letter = row(db.pool(), "select category, error_message from raw_ops.dead_letter_queue").await;
    assert_eq!(letter["category"], "auth");
    assert!(!letter["error_message"].as_str().is_some_and(|words| words.contains("shpat_another")), "{letter}");
}
