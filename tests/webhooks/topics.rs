//! Topics of Shopify, from the signed request to what the database says: which job each is for, and what comes of a day of them.

use serde_json::{Value, json};

use super::edge::{Edge, SECRET_BEFORE};
use crate::orders::inbox::{count, execute, later, paid, row};
use crate::support::{
    Outside, run_due_on,
    shelf::{Batch, product, rows},
};

#[tokio::test]
async fn every_topic_that_is_taken_has_a_kind_that_workers_know() {
    let edge = Edge::start().await;
    let kinds = jobs::kinds();
    for (number, topic) in web::webhooks::shopify::TOPICS.into_iter().enumerate() {
        assert_eq!(edge.deliver(topic, &format!("w-{number}"), format!("{{\"id\":{number}}}")).await, 200);
        let kind: Option<String> =
            sqlx::query_scalar("select raw_ops.webhook_kind('shopify', $1)").bind(topic).fetch_one(edge.pool()).await.expect("a kind");
        let kind = kind.unwrap_or_else(|| panic!("nobody reads {topic}"));
        kinds.fit(&kind, &json!({ "inbox_id": uuid::Uuid::nil() }).to_string()).unwrap_or_else(|reason| panic!("{topic}: {reason}"));
        let job = "select j.kind, j.queue from engine.job_state j join raw_ops.webhook_inbox i on i.id::text = j.unique_key";
        let job = row(edge.pool(), &format!("{job} where i.webhook_id = 'w-{number}'")).await;
        assert_eq!(job, json!({ "kind": kind, "queue": kind.split('.').next() }), "{topic}");
    }
    assert_eq!(edge.take_jobs().await.len(), web::webhooks::shopify::TOPICS.len());
}

#[tokio::test]
async fn the_secret_before_the_last_rotation_still_counts_and_no_other_does() {
    let edge = Edge::start().await;
    for (secret, status) in [(SECRET_BEFORE, 200), ("hush long before", 401)] {
        let sent = edge.delivery_signed(secret, "customers/update", secret, r#"{"id":1}"#).send().await.expect("an answer");
        assert_eq!(sent.status(), status, "{secret}");
    }
    assert_eq!(edge.take_jobs().await.len(), 1);
}

#[tokio::test]
async fn people_are_told_of_topics_that_no_job_reads_once() {
    let edge = Edge::start().await;
    for (number, topic) in ["themes/publish", "carts/update", "<!channel> pay/now", "Orders/Create"].into_iter().enumerate() {
        assert_eq!(edge.deliver(topic, &format!("w-{number}"), format!("{{\"id\":{number}}}")).await, 200);
    }
    assert_eq!(edge.statuses().await, ["ignored"; 4]);
    let alert = row(edge.pool(), "select severity, title, repeats, delivery_status from raw_ops.alert_log").await;
    let title = "Shopify sends topic of no known form, which no job reads";
    assert_eq!(alert, json!({ "severity": "warning", "title": title, "repeats": 3, "delivery_status": "pending" }));
}

fn with_id(document: &Value, id: i64) -> Vec<u8> {
    let mut document = document.clone();
    document["admin_graphql_api_id"] = json!(id);
    document.to_string().into_bytes()
}

/// Create, pay, change, refund a part, cancel: in this order, backwards, twice, and as a replay under fresh ids.
#[tokio::test]
async fn a_cancelled_order_gives_its_stock_back_in_whatever_order_its_webhooks_come() {
    let created = later(0, json!({ "financial_status": "pending" }));
    let paid = {
        let mut paid = paid();
        paid["updated_at"] = json!("2026-03-29T02:00:02+01:00");
        paid
    };
    let noted = later(5, json!({ "note": "mind the goose" }));
    let refund = json!({ "id": 1, "order_id": paid["id"], "created_at": "2026-03-29T02:00:07+01:00",
        "refund_line_items": [{ "line_item_id": 9_100_000_000_000_000_001_i64, "quantity": 1, "restock_type": "cancel", "line_item": { "quantity": 4 } }],
        "transactions": [{ "kind": "refund", "status": "success", "amount": "7.50", "currency": "GBP" }] });
    let cancelled = later(9, json!({ "financial_status": "refunded", "cancelled_at": "2026-03-29T02:00:10+01:00" }));
    let day = [
        ("orders/create", &created),
        ("orders/paid", &paid),
        ("orders/updated", &noted),
        ("refunds/create", &refund),
        ("orders/cancelled", &cancelled),
    ];
    for backwards in [false, true] {
        let (edge, outside) = (Edge::start().await, Outside::start().await);
        let adult = product(edge.pool(), "RAW-ADULT-1KG").await;
        Batch::of(9, 30).put(edge.pool(), "only", adult).await;
        execute(edge.pool(), "update raw_ops.retry_config set backoff_seconds = '{0}' where error_category = 'not_ready'").await;
        let mut order: Vec<usize> = (0..day.len()).collect();
        if backwards {
            order.reverse();
        }
        for at in order {
            let (topic, document) = day[at];
            for id in ["first", "first", "captured"] {
                assert_eq!(edge.deliver(topic, &format!("{id}-{at}"), with_id(document, 1)).await, 200);
            }
            if at == 3 || !backwards && at == 0 {
                continue;
            }
            run_due_on(edge.pool(), outside.kinds()).await;
        }
        let stands = rows(
            edge.pool(),
            "select o.status, o.notes_json ->> 'note', (select sum(qty_reserved)::integer from raw_ops.batches),
                    (select count(*) from raw_ops.refunds), (select count(*) from raw_ops.allocation_queue where state = 'pending')
             from raw_ops.orders o",
        )
        .await;
        assert_eq!(stands, json!([["CANCELLED", "Leave with the neighbour", 0, 1, 0]]), "backwards: {backwards}");
        assert_eq!(count(edge.pool(), "raw_ops.webhook_inbox where processing_status = 'suspected_replay'").await, 5);
        assert_eq!(count(edge.pool(), "raw_ops.webhook_inbox where processing_status = 'success'").await, 5);
    }
}

#[tokio::test]
async fn who_sends_a_large_body_to_where_none_is_read_has_an_answer() {
    let edge = Edge::start().await;
    for (path, status) in [("/v1/openapi.json", 405), ("/nowhere", 404), ("/v1/jobs", 401)] {
        for _ in 0..20 {
            let sent = edge.http.post(edge.url(path)).body(vec![b'x'; 1_300_000]).send().await;
            assert_eq!(sent.unwrap_or_else(|error| panic!("{path}: {error}")).status(), status, "{path}");
        }
    }
}
