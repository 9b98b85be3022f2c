//! An order's whole way, from the shop's webhook to the doorstep, over HTTP where it goes over HTTP.

use chrono::{Duration, Utc};
use engine::{Client, NewJob};
use jobs::export::CollectOrders;
use serde_json::json;
use web::webhooks::{courier, packer};

use super::{books_balance, file};
use crate::orders::inbox::{execute, paid};
use crate::support::{
    Outside, run_due_on,
    shelf::{Batch, product, rows},
};
use crate::webhooks::edge::{COURIER_SECRET, Edge, PACKER_SECRET};

const STANDS: &str = "select o.status, o.export_state, b.qty_on_hand, b.qty_reserved, (select array_agg(s.status) from raw_ops.shipments s)
    from raw_ops.orders o, raw_ops.batches b";

#[tokio::test]
async fn a_paid_order_goes_to_the_packer_leaves_with_its_stock_and_arrives() {
    let (edge, outside) = (Edge::start().await, Outside::start().await);
    let pool = edge.pool();
    let adult = product(pool, "RAW-ADULT-1KG").await;
    Batch::of(9, 30).put(pool, "only", adult).await;
    assert_eq!(edge.deliver("orders/paid", "w-1", paid().to_string()).await, 200);
    run_due_on(pool, outside.kinds()).await;
    assert_eq!(rows(pool, STANDS).await, json!([["ALLOCATED", null, 9, 4, null]]));

    execute(
        pool,
        "insert into raw_ops.packing_instructions
             (order_id, box_size, pcm_mass_kg, pcm_packs_count, risk_level, pack_on, food_grams, postcode, country)
         select o.id, 'small', 1.5, 3, 'LOW', raw_ops.today(), p.food_grams, p.postcode, p.country
         from raw_ops.orders o, raw_ops.parcel_to_pack(o.id) p",
    )
    .await;
    Client::new(pool.clone()).enqueue(&NewJob::of(&CollectOrders {}).expect("it serialises")).await.expect("enqueued");
    run_due_on(pool, outside.kinds()).await;
    assert_eq!(rows(pool, STANDS).await, json!([["EXPORTED", "acked", 9, 4, null]]));
    assert_eq!(outside.packer.orders(), ["PR#1001"]);

    let (now, time) = (Utc::now(), |hours| (Utc::now() - Duration::hours(hours)).format("%Y-%m-%dT%H:%M:%SZ").to_string());
    let left = file(&[["PR#1001", "15500000000001", &time(20)]]);
    assert_eq!(edge.adapt(packer::PATH, "text/csv", PACKER_SECRET, now.timestamp(), &left).await, 200);
    run_due_on(pool, outside.kinds()).await;
    assert_eq!(rows(pool, STANDS).await, json!([["DISPATCHED", "acked", 5, 0, ["DISPATCHED"]]]));

    for (code, hours) in [("001", 1), ("015", 5), ("009", 12)] {
        let scan = json!({ "tracking_no": "15500000000001", "event_code": code, "event_time": time(hours) }).to_string();
        assert_eq!(edge.adapt(courier::PATH, "application/json", COURIER_SECRET, now.timestamp(), &scan).await, 200);
    }
    run_due_on(pool, outside.kinds()).await;
    assert_eq!(rows(pool, STANDS).await, json!([["DELIVERED", "acked", 5, 0, ["DELIVERED"]]]));
    books_balance(edge.database()).await;
}
