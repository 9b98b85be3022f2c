//! The sandbox's shop against the real web process: nothing is lost, nothing is run twice.

use std::collections::BTreeMap;
use std::time::Duration;

use sandbox::shopify::{Faults, Kind, Options, Sandbox, Shop};
use tokio_util::sync::CancellationToken;

use super::edge::{Edge, SECRET, SHOP};

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
