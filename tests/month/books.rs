//! What must be true when the month is over: each order came to what it had to, and every sum agrees.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::PgPool;

use super::course::{Fate, Order, PRODUCTS, UNIT_GRAMS};
use super::papers;
use super::play::Month;
use crate::alerts::told;
use crate::orders::inbox::count;
use crate::support::{ledger, shelf::rows};

/// Alerts that somebody must hear of at once.
const CRITICAL: [&str; 2] = ["A parcel was too warm", "An order changed when the packer had it"];

/// Looks into every book.
pub async fn balance(month: Month) {
    orders(&month).await;
    parcels(&month).await;
    stock(&month).await;
    people(&month).await;
    messages(&month).await;
    addresses(&month).await;
    work(&month).await;
    let edge = month.house.close().await;
    // Hours went by in a moment, in which the worker's housekeeping would have looked many times.
    let mut connection = edge.pool().acquire().await.expect("the database answers");
    engine::store::claim::close_finished(&mut connection, 0).await.expect("claims can be closed");
    ledger::check(edge.pool()).await;
}

/// A list of one value a row, as a query gives them, in order.
async fn list(pool: &PgPool, query: &str) -> Vec<String> {
    let found = rows(pool, query).await;
    found.as_array().expect("rows").iter().map(|row| row[0].as_str().map_or_else(|| row[0].to_string(), str::to_owned)).collect()
}

fn pounds(pence: i64) -> String {
    format!("{}.{:02}", pence / 100, pence % 100)
}

/// What an order must have come to: status, total, VAT, money given back, units of its lines.
fn expected(order: &Order) -> Value {
    let status = match order.fate {
        Fate::NeverPaid => "PENDING",
        Fate::CancelledAtOnce | Fate::Stopped => "CANCELLED",
        Fate::Abroad | Fate::Formula => "ALLOCATED",
        _ => "DELIVERED",
    };
    let back: i64 = order.refunds.iter().sum();
    json!([order.label(), status, pounds(order.total()), pounds(order.total() / 6), pounds(back), order.units(None)])
}

/// Money: each order is what its last document says, and all that was given back is written down.
async fn orders(month: &Month) {
    let found = rows(
        month.house.pool(),
        "select o.order_number_label, o.status, o.total_inc_vat::numeric(12,2)::text, o.vat::numeric(12,2)::text,
             (select coalesce(sum(r.amount_gbp), 0)::numeric(12,2)::text from raw_ops.refunds r where r.order_id = o.id and r.status = 'processed'),
             (select coalesce(sum(i.qty), 0) from raw_ops.order_items i where i.order_id = o.id)
         from raw_ops.orders o order by o.shopify_order_id",
    )
    .await;
    let mut all: Vec<&Order> = month.orders.iter().collect();
    all.sort_by_key(|order| order.id());
    let wanted: Vec<Value> = all.iter().map(|order| expected(order)).collect();
    let found = found.as_array().expect("rows").clone();
    for ((found, wanted), order) in found.iter().zip(&wanted).zip(&all) {
        assert_eq!(found, wanted, "an order of fate {:?}, of day {}", order.fate, order.day);
    }
    assert_eq!(found.len(), wanted.len());
}

/// Every order that was to leave is in the packer's files once, and left as one parcel; of no other but those that he stopped is
/// there a word in his files.
async fn parcels(month: &Month) {
    let leaving: Vec<&Order> = month.orders.iter().filter(|order| order.leaves()).collect();
    let at_packer = month.orders.iter().filter(|order| order.leaves() || order.fate == Fate::Stopped);
    let mut wanted: Vec<String> = at_packer.map(Order::at_packer).collect();
    let mut packed = month.house.outside.packer.orders();
    wanted.sort();
    packed.sort();
    assert_eq!(packed, wanted, "each once in his files");
    let parcels = "select s.tracking_no || ' ' || o.order_number_label || ' ' || s.status
        from raw_ops.shipments s join raw_ops.orders o on o.id = s.order_id order by 1";
    let mut wanted: Vec<String> = leaving.iter().map(|order| format!("{} {} DELIVERED", order.parcel(), order.label())).collect();
    wanted.sort();
    assert_eq!(list(month.house.pool(), parcels).await, wanted);
    // Where a box goes is where its customer wanted it when it was handed over.
    let streets: String =
        month.house.outside.packer.files().values().map(|file| String::from_utf8_lossy(&file.bytes).into_owned()).collect();
    for order in leaving {
        let door = if order.fate == Fate::MovedLate && order.is_over { order.door - 1_000 } else { order.door };
        let street = format!("{door} Box Street");
        let mut lines = streets.lines().filter(|line| line.starts_with(&format!("{},", order.at_packer())));
        assert!(lines.any(|line| line.split(',').any(|field| field == street)), "{} goes to {street}", order.label());
    }
    // At six in London, before clocks change and after it.
    let exports = "select (e.created_at at time zone 'Europe/London')::date >= '2027-03-28', extract(hour from e.created_at at time zone 'Europe/London')
        from raw_ops.export_outbox e group by 1, 2 order by 1, 2";
    assert_eq!(rows(month.house.pool(), exports).await, json!([[false, 6], [true, 6]]));
}

/// Stock: what was made is on hand, has left, or was dropped; what waits is reserved, and nothing else.
async fn stock(month: &Month) {
    let pool = month.house.pool();
    for (place, (sku, _)) in PRODUCTS.iter().enumerate() {
        let sum = |wanted: fn(&Order) -> bool| -> i64 {
            month.orders.iter().filter(|order| wanted(order)).map(|order| order.units(Some(place))).sum()
        };
        let (left, waits) = (sum(Order::leaves), sum(Order::waits));
        let on_hand = month.made[place] - left - month.lost[place];
        let found = rows(
            pool,
            &format!(
                "select sum(b.qty_on_hand)::bigint, sum(b.qty_reserved)::bigint, sum(coalesce(b.qty_soft_reserved, 0))::bigint,
                     (sum(b.qty_on_hand * p.kg) * 1000)::bigint,
                     (select -sum(m.qty_change)::bigint from raw_ops.inventory_movements m where m.sku = p.sku and m.movement_type = 'dispatch')
                 from raw_ops.batches b join raw_ops.products p on p.id = b.product_id where p.sku = '{sku}' group by p.sku"
            ),
        )
        .await;
        assert_eq!(found, json!([[on_hand, waits, 0, on_hand * UNIT_GRAMS, left]]), "{sku}: on hand, reserved, held, grams, dispatched");
    }
    assert_eq!(rows(pool, "select * from raw_ops.stock_drift()").await, json!([]));
    assert_eq!(count(pool, "raw_ops.soft_reservations").await, 0, "holds of orders that were not paid");
}

/// What people were told of, and what is left to them.
async fn people(month: &Month) {
    let of = |fate: Fate, kind: &str| {
        let orders = month.orders.iter().filter(move |order| order.fate == fate);
        orders.map(|order| format!("{kind} {}", order.label())).collect::<Vec<_>>()
    };
    let mut wanted: Vec<String> = [
        (Fate::Abroad, "cannot_be_packed"),
        (Fate::Formula, "export_review"),
        (Fate::CancelledLate, "dispatch_unexpected"),
        (Fate::CancelledLate, "order_ended_late"),
        (Fate::EditedLate, "order_changed_late"),
        (Fate::MovedLate, "address_changed_late"),
    ]
    .into_iter()
    .flat_map(|(fate, kind)| of(fate, kind))
    .collect();
    wanted.sort();
    let open =
        "select x.issue_type || ' ' || o.order_number_label from raw_ops.exceptions_queue x join raw_ops.orders o on o.id = x.order_id
        where not x.resolved and x.issue_type <> 'temperature_breach' order by 1";
    let mut found = list(month.house.pool(), open).await;
    found.sort();
    assert_eq!(found, wanted, "what waits for a person");
    let held_up = count(month.house.pool(), "raw_ops.exceptions_queue where issue_type = 'courier_exception' and resolved").await;
    assert_eq!(held_up, month.held_up.len() as i64, "parcels that were held up and arrived");
    assert_eq!(count(month.house.pool(), "raw_ops.exceptions_queue where issue_type = 'temperature_breach'").await, 1);
    let audits = "select pass_class, count(*) from raw_ops.temperature_audits group by 1 order by 1";
    assert_eq!(rows(month.house.pool(), audits).await, json!([["FAIL", 1], ["PASS", month.logs - 1]]));
}

/// Each mail went out once, each alert was told, and nobody heard of a parcel that should not have left.
async fn messages(month: &Month) {
    let pool = month.house.pool();
    assert_eq!(rows(pool, "select state, count(*) from raw_ops.outbox where state <> 'sent' group by 1").await, json!([]));
    assert_eq!(
        rows(
            pool,
            "select delivery_status, count(*) from raw_ops.alert_log where delivery_status not in ('sent', 'suppressed') group by 1"
        )
        .await,
        json!([])
    );
    posts(month).await;
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for message in month.house.outside.customerio.messages() {
        *times.entry(message.header("X-Rawops-Message").expect("each is marked").to_owned()).or_default() += 1;
    }
    assert!(times.values().all(|times| *times == 1), "a mail went out twice");
    assert_eq!(times.len() as i64, count(pool, "raw_ops.outbox").await);
    let mails = "select s.tracking_no || ' ' || (m.payload_json ->> 'to') from raw_ops.outbox m
        join raw_ops.shipments s on s.id::text = m.payload_json ->> 'shipment_id' where m.event_type = 'order_dispatched' order by 1";
    let told = month.orders.iter().filter(|order| order.leaves() && order.fate != Fate::CancelledLate);
    let mut wanted: Vec<String> = told.map(|order| format!("{} {}", order.parcel(), papers::mail_of(order.person))).collect();
    wanted.sort();
    assert_eq!(list(pool, mails).await, wanted, "who was told that a parcel has left");
    let mails =
        "select m.payload_json #>> '{message_data,tracking_no}' from raw_ops.outbox m where m.event_type = 'delivery_exception' order by 1";
    let mut wanted: Vec<String> = month.held_up.iter().map(|n| month.order(*n).parcel()).collect();
    wanted.sort();
    assert_eq!(list(pool, mails).await, wanted, "who was told that a parcel is held up");
}

/// What stands in Slack is what the log says was sent, and the worst of it is there.
async fn posts(month: &Month) {
    let pool = month.house.pool();
    let posted: Vec<String> = told(&month.house.outside).into_iter().map(|(_, text)| text).collect();
    assert_eq!(posted.len() as i64, count(pool, "raw_ops.alert_log where delivery_status = 'sent'").await);
    let critical = "select distinct a.title from raw_ops.alert_log a where a.severity = 'critical' order by 1";
    let critical = list(pool, critical).await;
    assert!(CRITICAL.iter().all(|title| critical.iter().any(|raised| raised == title)), "{critical:?}");
    for title in critical {
        assert!(posted.iter().any(|text| text.contains(&title)), "{title}: {posted:?}");
    }
}

/// Who moved lives at the new place everywhere.
async fn addresses(month: &Month) {
    for (person, door) in &month.moved {
        let (at_shopify, _) = month.house.outside.shopify.address(papers::customer_id(*person));
        assert_eq!(at_shopify.expect("an address")["address1"], **door);
        let at_seal = month.house.outside.seal.subscription(papers::subscription_id(*person)).expect("a subscription");
        assert_eq!(at_seal["s_address1"], **door);
    }
    let open = "raw_ops.address_changes where shopify_state not in ('synced', 'superseded', 'not_needed') or seal_state not in ('synced', 'superseded', 'not_needed')";
    assert_eq!(count(month.house.pool(), open).await, 0);
}

/// No job is stuck, and only the packer's rows of nobody are dead.
async fn work(month: &Month) {
    let pool = month.house.pool();
    assert_eq!(month.house.unended().await, [], "jobs that have not ended");
    let dead = rows(pool, "select topic, category, count(*) from raw_ops.dead_letter_queue group by 1, 2 order by 1, 2").await;
    assert_eq!(dead, json!([["dispatch.import_dispatch", "business_rule", month.unmatched]]));
    let failed = "raw_ops.dispatch_import_queue where processing_status = 'failed'";
    assert_eq!(count(pool, failed).await, month.unmatched + month.faulty, "rows that wait with their reason");
    assert_eq!(count(pool, "raw_ops.dispatch_import_queue where processing_status not in ('processed', 'failed')").await, 0);
    assert_eq!(
        rows(pool, "select topic, processing_status from raw_ops.webhook_inbox where processing_status <> 'success'").await,
        json!([])
    );
    assert_eq!(count(pool, "raw_ops.seal_webhook_inbox where processing_status <> 'success'").await, 0);
}
