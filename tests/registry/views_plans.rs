//! The views of monitors stay quick when the tables are large: none reads a large table from end to end.
//!
//! `RAWOPS_VIEW_ORDERS=1000000 cargo test --test all views_plans` asks it of a million orders, and takes some minutes.

use std::{collections::BTreeSet, time::Instant};

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};

use crate::support::Database;

/// So many orders, webhooks and messages of the last 400 days, as a healthy company has them.
const ROWS: [&str; 9] = [
    "insert into raw_ops.customers (shopify_customer_id, email)
     select n::text, 'customer' || n || '@example.com' from generate_series(1, {customers}) n",
    "insert into raw_ops.orders (shopify_order_id, customer_id, ordered_at, created_at, status, total_inc_vat, total_gbp)
     select o.n::text, c.id, now() - o.n * interval '400 days' / {orders}, now() - o.n * interval '400 days' / {orders},
         case when o.n > 60 then 'DELIVERED'
             when o.n > 40 then 'EXPORTED' when o.n > 20 then 'ALLOCATED' else 'PAID' end::raw_ops.order_status,
         60, 60
     from generate_series(1, {orders}) o (n) join raw_ops.customers c on c.shopify_customer_id = (1 + o.n % {customers})::text",
    "insert into raw_ops.order_items (order_id, qty, unit_price_ex_vat) select id, 1, 50 from raw_ops.orders
     where ordered_at > now() - interval '80 days'",
    "insert into raw_ops.batches (batch_code, produced_at, status, qty_on_hand, qty_reserved)
     select 'PR-' || n, current_date - n, 'RELEASED', 1000, 500 from generate_series(1, 200) n",
    "insert into raw_ops.allocations (order_item_id, batch_id, qty_allocated)
     select i.id, b.id, 1 from raw_ops.order_items i
     join (select id, row_number() over () as place from raw_ops.batches) b on b.place = 1 + abs(hashtext(i.id::text)) % 200",
    "insert into raw_ops.webhook_inbox
        (topic, raw_headers, raw_payload, received_at, processing_status, processed_at, processing_duration_ms,
            last_error, processing_attempts)
     select 'orders/create', '{}', '{\"id\": 1}', at, case when n % 2000 = 7 then 'failed' else 'success' end,
         case when n % 2000 <> 7 then at + interval '1 second' end, n % 900, case when n % 2000 = 7 then 'no answer after ' || n end, 1
     from generate_series(1, {orders}) n cross join lateral (select now() - n * interval '400 days' / {orders} as at) t",
    "insert into raw_ops.outbox (target, event_type, payload_json, state, created_at, last_sent_at)
     select 'customerio', 'order_dispatched', '{}', case when n <= 20 then 'pending' when n % 5000 = 0 then 'failed' else 'sent' end, at,
         case when n > 20 and n % 5000 <> 0 then at + interval '1 minute' end
     from generate_series(1, {orders}) n cross join lateral (select now() - n * interval '400 days' / {orders} as at) t",
    "insert into raw_ops.monitoring_runs (check_name, run_at, status)
     select (array['outbox_health', 'daily_snapshot', 'stock_levels'])[1 + n % 3], now() - n * interval '20 minutes', 'success'
     from generate_series(1, {customers}) n",
    "insert into raw_ops.support_tickets (customer_email, subject, status, created_at)
     select 'customer' || n || '@example.com', 'Where is my order?', case when n <= 30 then 'pending' else 'closed' end,
         now() - n * interval '12 minutes'
     from generate_series(1, 50000) n",
];

/// What is asked of each view. Customers are asked for alone or by the page here.
const QUESTIONS: [&str; 11] = [
    "select * from raw_ops.v_webhook_health",
    "select * from raw_ops.v_retry_queue_depth",
    "select * from raw_ops.v_error_summary",
    "select * from raw_ops.v_outbox_health",
    "select * from raw_ops.v_daily_snapshot_health",
    "select * from raw_ops.alert_retry_queue_backup",
    "select * from raw_ops.alert_slow_processing",
    "select * from raw_ops.v_customer_context where email = 'customer77@example.com'",
    "select * from raw_ops.v_customer_context order by created_at desc limit 100",
    "select * from raw_ops.v_pack_queue",
    "select * from raw_ops.v_support_queue",
];

/// The planner compiles plans that cost more, unless told otherwise.
const JIT_ABOVE: f64 = 100_000.0;

const LARGE: [&str; 7] = ["customers", "orders", "webhook_inbox", "outbox", "order_items", "allocations", "support_tickets"];

async fn fill(pool: &PgPool) {
    let orders: u32 = std::env::var("RAWOPS_VIEW_ORDERS").map_or(100_000, |text| text.parse().expect("RAWOPS_VIEW_ORDERS is a number"));
    let mut tx = pool.begin().await.expect("a transaction can begin");
    sqlx::raw_sql("set local rawops.seeding = 'on'").execute(&mut *tx).await.expect("a session can be told");
    for statement in ROWS {
        let statement = statement.replace("{orders}", &orders.to_string()).replace("{customers}", &(orders / 5).to_string());
        sqlx::raw_sql(AssertSqlSafe(statement.as_str())).execute(&mut *tx).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    tx.commit().await.expect("rows can be kept");
    sqlx::raw_sql("vacuum analyze").execute(pool).await.expect("a database can be analysed");
}

/// The tables that a plan reads from end to end.
fn read_whole(plan: &Value, found: &mut Vec<String>) {
    if plan["Node Type"] == "Seq Scan" {
        found.extend(plan["Relation Name"].as_str().map(str::to_owned));
    }
    for part in plan["Plans"].as_array().into_iter().flatten() {
        read_whole(part, found);
    }
}

#[tokio::test]
async fn no_view_of_a_monitor_reads_a_large_table_from_end_to_end() {
    let db = Database::new().await;
    fill(db.pool()).await;
    for question in QUESTIONS {
        let explain = format!("explain (format json) {question}");
        let plan: Value = sqlx::query_scalar(AssertSqlSafe(explain)).fetch_one(db.pool()).await.expect("a view can be explained");
        let mut whole = Vec::new();
        read_whole(&plan[0]["Plan"], &mut whole);
        assert!(plan[0]["Plan"]["Node Type"].is_string(), "the plan was read");
        whole.retain(|table| LARGE.contains(&table.as_str()));
        assert!(whole.is_empty(), "{question} reads all of {whole:?}: {plan:#}");

        let begun = Instant::now();
        let rows = sqlx::query(question).fetch_all(db.pool()).await.expect("a view answers").len();
        println!("{question}: {rows} rows in {:?}", begun.elapsed());
    }
    assert_two_tables_are_joined(db.pool()).await;
}

/// The tables that a plan reads, by whatever way.
fn read_at_all(plan: &Value, found: &mut BTreeSet<String>) {
    found.extend(plan["Relation Name"].as_str().map(str::to_owned));
    for part in plan["Plans"].as_array().into_iter().flatten() {
        read_at_all(part, found);
    }
}

async fn assert_two_tables_are_joined(pool: &PgPool) {
    let plan: Value = sqlx::query_scalar("explain (format json) select * from raw_ops.v_customer_context")
        .fetch_one(pool)
        .await
        .expect("a view can be explained");
    let mut tables = BTreeSet::new();
    read_at_all(&plan[0]["Plan"], &mut tables);
    assert_eq!(tables.into_iter().collect::<Vec<_>>(), ["customer_figures", "customers"], "{plan:#}");
    let way = plan[0]["Plan"]["Node Type"].as_str().unwrap_or_default();
    assert!(["Hash Join", "Merge Join"].contains(&way), "{plan:#}");
    let cost = plan[0]["Plan"]["Total Cost"].as_f64().expect("a plan has a cost");
    assert!(cost < JIT_ABOVE, "the plan would be compiled, which takes longer than it does: {plan:#}");
}

#[tokio::test]
async fn a_table_that_is_read_whole_is_noticed() {
    let db = Database::new().await;
    let plan: Value =
        sqlx::query_scalar("explain (format json) select count(*) from (select 1 from raw_ops.outbox where error_message = 'x') q")
            .fetch_one(db.pool())
            .await
            .expect("a query can be explained");
    let mut whole = Vec::new();
    read_whole(&plan[0]["Plan"], &mut whole);
    assert_eq!(whole, ["outbox"]);
}
