//! The registry's HTTP function.

use serde_json::json;
use uuid::Uuid;
use web::{api::Scope, functions::sync_address_change::PATH};

use super::{SUBSCRIPTION, at_seal, at_shopify, known, moves, settle, states, subscription};
use crate::api::{Api, refusal};
use crate::orders::inbox::execute;
use crate::support::{Outside, run_all, shelf::rows};

#[tokio::test]
async fn a_change_that_was_not_told_is_told_by_any_of_the_bodies() {
    let (api, outside) = (Api::start(&[Scope::Functions]).await, Outside::start().await);
    let pool = api.edge.pool();
    settle(pool).await;
    known(&outside);
    let change = moves(pool, "2 New Road", "YO1 7EP").await;
    let customer: Uuid = sqlx::query_scalar("select id from raw_ops.customers").fetch_one(pool).await.expect("a customer");
    run_all(api.edge.database(), outside.kinds()).await;
    for body in [
        json!({ "type": "UPDATE", "table": "customers", "schema": "raw_ops", "record": { "id": customer, "address1": "2 New Road" },
            "old_record": { "id": customer, "address1": "1 Old Road" } }),
        json!({ "customer_id": customer }),
        json!({ "address_change_id": change }),
        json!({ "type": "INSERT", "table": "address_changes", "record": { "id": change } }),
    ] {
        execute(pool, "update raw_ops.address_changes set shopify_state = 'failed', seal_state = 'failed'").await;
        outside.seal.put(subscription(SUBSCRIPTION, "1 Old Road", "YO1 7EP"));
        let (status, answer) = api.post(PATH, &body).await;
        let expected = json!({ "changes": [{ "id": change, "customer_id": customer, "shopify": "pending", "seal": "pending" }] });
        assert_eq!((status, answer), (200, expected), "{body}");
        run_all(api.edge.database(), outside.kinds()).await;
        assert_eq!(states(pool).await, json!([["synced", "synced"]]), "{body}");
    }
    assert_eq!((at_shopify(&outside), at_seal(&outside)), ((json!("2 New Road"), 1), (json!("2 New Road"), 5)));
    let (status, answer) = api.post(PATH, &json!({ "customer_id": customer })).await;
    assert_eq!((status, answer), (200, json!({ "changes": [] })), "there is nothing left to tell");
    assert_eq!(rows(pool, "select count(*) from raw_ops.address_changes").await, json!([[1]]));
}

#[tokio::test]
async fn callers_need_the_scope_and_a_body_that_names_a_change() {
    let api = Api::start(&[Scope::JobsWrite]).await;
    let fine = json!({ "customer_id": Uuid::nil() });
    assert!(refusal(api.post(PATH, &fine).await, 403).contains("lacks the scope functions"));
    let api = Api::start(&[Scope::Functions]).await;
    let nothing_named = "neither address_change_id nor customer_id";
    for (body, why) in [
        (json!({}), nothing_named),
        (json!({ "table": "orders", "record": { "id": Uuid::nil() } }), nothing_named),
        (json!({ "customer_id": "ann" }), "the body names no change"),
        (json!("ann"), "the body names no change"),
    ] {
        let refusal = refusal(api.post(PATH, &body).await, 422);
        assert!(refusal.contains(why), "{refusal}");
    }
    assert!(refusal(api.post(PATH, &json!({ "address_change_id": Uuid::nil() })).await, 404).contains("no such change"));
    assert_eq!(api.post(PATH, &fine).await, (200, json!({ "changes": [] })));
}
