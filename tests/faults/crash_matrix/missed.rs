//! What was missed, failed or left lying is found once, whoever dies while it is looked for.

use engine::failpoint::Side;
use jobs::{
    addresses::SweepChanges,
    customers::RemindOfPrivacyRequest,
    webhooks::{ReconcileOrders, RetryFailed},
};
use serde_json::json;
use sqlx::PgPool;

use super::{Case, enqueue, messages, survives_at};
use crate::addresses;
use crate::orders::inbox::{execute, paid, receive};
use crate::support::Outside;
use crate::webhooks::reconcile;

/// An order that Shopify has and that no webhook told of.
pub fn laid_out(outside: &Outside) {
    outside.shopify.put(reconcile::order(77, 60));
}

/// A change of address, a request of a customer and a webhook that nobody works on.
async fn put_leftovers(pool: &PgPool) {
    addresses::settle(pool).await;
    _ = addresses::moves(pool, "2 New Road", "YO1 7EP").await;
    receive(pool, "orders/create", &paid()).await;
    for statement in [
        "delete from engine.ready",
        "truncate engine.job, engine.unique_key",
        "update raw_ops.address_changes set created_at = now() - interval '6 minutes'",
        "update raw_ops.webhook_inbox set received_at = now() - interval '2 h', updated_at = now() - interval '1 h'",
        "insert into raw_ops.privacy_requests (topic, inbox_id, shopify_customer_id, due_at)
         select 'customers/redact', w.id, '1', now() + interval '7 days' from raw_ops.webhook_inbox w",
    ] {
        execute(pool, statement).await;
    }
}

#[tokio::test]
async fn what_was_missed_is_found_once() {
    let case = Case {
        prepare: |pool| {
            Box::pin(async move {
                put_leftovers(pool).await;
                let request_id = sqlx::query_scalar("select id from raw_ops.privacy_requests").fetch_one(pool).await.expect("a request");
                enqueue(pool, RetryFailed {}).await;
                enqueue(pool, SweepChanges {}).await;
                enqueue(pool, RemindOfPrivacyRequest { request_id }).await;
                enqueue(pool, ReconcileOrders {}).await;
            })
        },
        end: "select (select json_agg(json_build_array(topic, processing_status) order by topic) from raw_ops.webhook_inbox),
                  (select count(*) from raw_ops.orders), (select json_agg(title order by title) from raw_ops.alert_log),
                  (select array_agg(shopify_state || ' ' || seal_state) from raw_ops.address_changes),
                  (select count(*) from raw_ops.ops_events where kind like 'order%')",
        outside: |outside| json!([addresses::at_shopify(outside), addresses::at_seal(outside), messages(outside)]),
    };
    // Each of the four commits its own, among those that they start.
    let commits = |side| (1..=4).map(move |n| ("run/complete commit", side, n));
    let places: Vec<_> = commits(Side::Before).chain(commits(Side::After)).collect();
    survives_at(case, &places, 8).await;
}
