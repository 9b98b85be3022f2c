//! Whoever changes a customer's address has it written down, and what Shopify says goes nowhere.

use serde_json::{Value, json};
use sqlx::PgPool;

use super::{at_shopify, moves, settle, settled, states};
use crate::orders::inbox::{count, execute};
use crate::support::{Database, outside, run_all, shelf::rows};

#[tokio::test]
async fn a_change_is_written_down_with_both_addresses_and_who_made_it() {
    let db = Database::new().await;
    settle(db.pool()).await;
    for same in [
        "update raw_ops.customers set first_name = 'Bea'",
        "update raw_ops.customers set address1 = '1 Old Road ', country_code = 'gb', address2 = ''",
        "begin; set local rawops.seeding = on; update raw_ops.customers set city = 'Leeds'; rollback",
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(same)).execute(db.pool()).await.expect("the statement is sound");
        assert_eq!(count(db.pool(), "raw_ops.address_changes").await, 0, "{same}");
    }
    let by_portal = "begin; select set_config('rawops.changed_by', 'customer', true), set_config('rawops.address_source', 'portal', true);
        update raw_ops.customers set address1 = '2 New Road', region = 'England'; commit";
    sqlx::raw_sql(sqlx::AssertSqlSafe(by_portal)).execute(db.pool()).await.expect("the statement is sound");
    moves(db.pool(), "3 New Road", "YO1 7EP").await;
    execute(db.pool(), "update raw_ops.customers set address1 = null, postcode = ''").await;
    let noted = rows(
        db.pool(),
        "select changed_by = 'customer', source, old_address ->> 'address1', new_address ->> 'address1', new_address ->> 'province',
             shopify_state, seal_state from raw_ops.address_changes order by number",
    )
    .await;
    assert_eq!(
        noted,
        json!([
            [true, "portal", "1 Old Road", "2 New Road", "England", "pending", "pending"],
            [false, "database", "2 New Road", "3 New Road", "England", "pending", "pending"],
            [false, "database", "3 New Road", null, "England", "not_needed", "not_needed"],
        ])
    );
    execute(db.pool(), "update raw_ops.address_changes set shopify_state = 'not_needed', seal_state = 'not_needed'").await;
    run_all(&db, outside::with(&jobs::clients::Settings::default())).await;
}

/// An order of Shopify's, changed at this time, whose customer lives there.
async fn order_says(pool: &PgPool, line: &str, updated_at: &str) {
    let address = json!({ "address1": line, "city": "York", "zip": "YO1 7EP", "country_code": "GB" });
    let order = json!({ "customer": { "default_address": address }, "updated_at": updated_at });
    let save = "select raw_ops.save_shopify_customer(id, $1) from raw_ops.customers";
    sqlx::query(save).bind(order).execute(pool).await.expect("the document is sound");
}

/// A customer document, and an order, of Shopify's.
async fn says(pool: &PgPool, line: &str) {
    order_says(pool, line, "2099-01-01T00:00:00Z").await;
    let address = json!({ "address1": line, "city": "York", "zip": "YO1 7EP", "country_code": "GB" });
    let apply = "select raw_ops.apply_shopify_customer(id, $1, '2026-01-01Z') from raw_ops.customers";
    sqlx::query(apply).bind(json!({ "default_address": address })).execute(pool).await.expect("the document is sound");
}

/// Where the customer lives.
async fn home(pool: &PgPool) -> Value {
    rows(pool, "select address1 from raw_ops.customers").await[0][0].clone()
}

#[tokio::test]
async fn what_shopify_says_is_written_down_as_told_and_not_while_it_is_to_be_told_itself() {
    let (db, outside) = settled().await;
    says(db.pool(), "9 Shop Road").await;
    assert_eq!(states(db.pool()).await, json!([["synced", "not_needed"]]));
    moves(db.pool(), "2 New Road", "YO1 7EP").await;
    says(db.pool(), "9 Shop Road").await;
    assert_eq!(home(db.pool()).await, "2 New Road", "Shopify does not know it yet");
    run_all(&db, outside.kinds()).await;
    assert_eq!(states(db.pool()).await, json!([["synced", "not_needed"], ["synced", "synced"]]));
    says(db.pool(), "8 Shop Road").await;
    let sources = rows(db.pool(), "select source, new_address ->> 'address1' from raw_ops.address_changes order by number").await;
    assert_eq!(sources, json!([["shopify", "9 Shop Road"], ["database", "2 New Road"], ["shopify", "8 Shop Road"]]));
}

#[tokio::test]
async fn a_change_that_could_not_be_told_is_kept_from_shopifys_documents_and_told_later() {
    let (db, outside) = settled().await;
    execute(db.pool(), "update raw_ops.retry_config set max_attempts = 1 where error_category = 'auth'").await;
    let change = moves(db.pool(), "2 New Road", "YO1 7EP").await;
    run_all(&db, outside::with(&jobs::clients::Settings::default())).await;
    assert_eq!(states(db.pool()).await, json!([["failed", "failed"]]));
    says(db.pool(), "1 Old Road").await;
    assert_eq!(home(db.pool()).await, "2 New Road");
    sqlx::query("select raw_ops.sync_address_change($1, null)").bind(change).execute(db.pool()).await.expect("it is there");
    run_all(&db, outside.kinds()).await;
    assert_eq!((states(db.pool()).await, at_shopify(&outside)), (json!([["synced", "synced"]]), (json!("2 New Road"), 1)));
    // One that failed before a newer one was told keeps nothing back any more.
    moves(db.pool(), "3 New Road", "YO1 7EP").await;
    run_all(&db, outside.kinds()).await;
    execute(db.pool(), &format!("update raw_ops.address_changes set shopify_state = 'failed' where id = '{change}'")).await;
    says(db.pool(), "9 Shop Road").await;
    assert_eq!(home(db.pool()).await, "9 Shop Road");
}

#[tokio::test]
async fn what_shopify_wrote_before_it_was_told_brings_no_old_address_back() {
    let (db, outside) = settled().await;
    moves(db.pool(), "2 New Road", "YO1 7EP").await;
    let before = chrono::Utc::now() - chrono::TimeDelta::minutes(1);
    run_all(&db, outside.kinds()).await;
    order_says(db.pool(), "1 Old Road", &before.to_rfc3339()).await;
    assert_eq!(home(db.pool()).await, "2 New Road");
    order_says(db.pool(), "9 Shop Road", "2099-01-01T00:00:00Z").await;
    assert_eq!(home(db.pool()).await, "9 Shop Road");
}
