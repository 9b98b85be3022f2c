//! The sandbox's shop against the real web process: nothing is lost, nothing is run twice.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use sandbox::shopify::{Faults, Kind, Options, Sandbox, Shop};
use tokio_util::sync::CancellationToken;

use super::edge::{Edge, SECRET, SHOP};
use crate::support::wait::until;

#[tokio::test]
async fn every_order_of_a_faulty_shop_arrives_once() {
    let edge = Edge::start().await;
    let options = Options {
        seed: 42,
        rate: 1_000.0,
        count: Some(300),
        gap: Duration::ZERO,
        faults: Faults { duplicate: 0.3, out_of_order: 0.3, replay: 0.2 },
        ..Options::new(&edge.url(web::webhooks::shopify::PATH), SECRET, SHOP)
    };
    let shop = Shop::of(&options);
    let sent: Vec<_> = (0..300).flat_map(|n| shop.deliveries(n, &options.faults)).collect();
    let of = |kind: Kind| sent.iter().filter(|delivery| delivery.kind == kind).count();
    let handle = Sandbox::start(options, CancellationToken::new()).expect("a shop");
    handle.finished().await;
    assert_eq!(handle.counters().accepted as usize, sent.len());

    let inbox = edge.inbox().await;
    let with = |status: &str| inbox.iter().filter(|row| row.processing_status == status).count();
    assert_eq!(with("pending"), of(Kind::Original));
    assert_eq!(with("suspected_replay"), of(Kind::Replay));
    assert_eq!(inbox.len(), of(Kind::Original) + of(Kind::Replay));
    assert_eq!(edge.take_jobs().await.len(), of(Kind::Original));

    let mut newest: BTreeMap<i64, String> = BTreeMap::new();
    for row in inbox {
        let order: serde_json::Value = serde_json::from_slice(&row.raw_body).expect("an order is JSON");
        let updated_at = order["updated_at"].as_str().expect("a moment").to_owned();
        let known = newest.entry(row.shopify_order_id.expect("an order has an id")).or_default();
        *known = updated_at.max(std::mem::take(known));
    }
    let truths = handle.ledger();
    assert!(newest.keys().eq(truths.keys()));
    for (id, updated_at) in newest {
        let updated_at: chrono::DateTime<chrono::Utc> = updated_at.parse().expect("a moment");
        assert_eq!(updated_at, truths[&id].updated_at);
    }
}

/// The whole way: web process, queue and worker at once, while the shop repeats, reorders and replays.
#[tokio::test]
async fn the_database_ends_as_the_shop_says() {
    let edge = Edge::start().await;
    let stop = CancellationToken::new();
    let worker = engine::Worker::new(edge.pool().clone(), jobs::kinds(), engine::WorkerConfig::default());
    let worker = tokio::spawn(worker.run(stop.clone()));
    let options = Options {
        seed: 43,
        rate: 1_000.0,
        count: Some(300),
        gap: Duration::from_millis(20),
        faults: Faults { duplicate: 0.2, out_of_order: 0.5, replay: 0.2 },
        ..Options::new(&edge.url(web::webhooks::shopify::PATH), SECRET, SHOP)
    };
    let sending = Sandbox::start(options, CancellationToken::new()).expect("a shop");
    sending.finished().await;
    until("every delivery is processed", Duration::from_mins(1), async || {
        let open: i64 =
            sqlx::query_scalar("select count(*) from raw_ops.webhook_inbox where processing_status in ('pending', 'processing')")
                .fetch_one(edge.pool())
                .await
                .expect("the inbox can be read");
        open == 0
    })
    .await;
    stop.cancel();
    worker.await.expect("the worker ends").expect("the worker ends well");

    let stored = stored_orders(edge.pool()).await;
    let truths = sending.ledger();
    assert_eq!(stored.len(), truths.len());
    for order in stored {
        let truth = &truths[&order.id];
        let is = (order.updated_at, order.total, order.tax, order.currency.as_str(), order.lines as usize, order.units, order.is_cancelled);
        let should_be = (truth.updated_at, truth.total, truth.tax, truth.currency, truth.lines, truth.units, truth.is_cancelled);
        assert_eq!(is, should_be, "{}", truth.name);
    }
}

#[derive(sqlx::FromRow)]
struct Stored {
    id: i64,
    updated_at: DateTime<Utc>,
    total: Decimal,
    tax: Decimal,
    currency: String,
    lines: i64,
    units: i64,
    is_cancelled: bool,
}

async fn stored_orders(pool: &sqlx::PgPool) -> Vec<Stored> {
    sqlx::query_as(
        "select o.shopify_order_id::bigint as id, o.updated_at_shopify as updated_at, o.total_inc_vat as total, o.vat as tax,
                o.currency, count(*) as lines, sum(i.quantity) as units, o.status in ('CANCELLED', 'REFUNDED') as is_cancelled
         from raw_ops.orders o join raw_ops.order_items i on i.order_id = o.id
         group by o.id",
    )
    .fetch_all(pool)
    .await
    .expect("orders can be read")
}
