//! Whoever changes a customer's address has it written down, and what Shopify says goes nowhere.

use serde_json::json;

use super::{moves, settle, settled, states};
use crate::orders::inbox::{count, execute};
use crate::support::{Database, run_all, shelf::rows};

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
    run_all(&db, crate::support::outside::with(&jobs::clients::Settings::default())).await;
}

/// A customer document, and an order, of Shopify's.
#[tokio::test]
async fn what_shopify_says_is_written_down_as_told_and_not_while_it_is_to_be_told_itself() {
    let (db, outside) = settled().await;
    let says = async |line: &str| {
        let address = json!({ "address1": line, "city": "York", "zip": "YO1 7EP", "country_code": "GB" });
        for payload in [
            json!({ "customer": { "default_address": address }, "updated_at": "2099-01-01T00:00:00Z" }),
            json!({ "default_address": address }),
        ] {
            let function = if payload.get("customer").is_some() {
                "select raw_ops.save_shopify_customer(id, $1) from raw_ops.customers"
            } else {
                "select raw_ops.apply_shopify_customer(id, $1, '2026-01-01Z') from raw_ops.customers"
            };
            sqlx::query(function).bind(payload).execute(db.pool()).await.expect("the document is sound");
        }
    };
    says("9 Shop Road").await;
    assert_eq!(states(db.pool()).await, json!([["synced", "not_needed"]]));
    moves(db.pool(), "2 New Road", "YO1 7EP").await;
    says("9 Shop Road").await;
    assert_eq!(count(db.pool(), "raw_ops.customers where address1 = '2 New Road'").await, 1, "Shopify does not know it yet");
    run_all(&db, outside.kinds()).await;
    assert_eq!(states(db.pool()).await, json!([["synced", "not_needed"], ["synced", "synced"]]));
    says("8 Shop Road").await;
    let sources = rows(db.pool(), "select source, new_address ->> 'address1' from raw_ops.address_changes order by number").await;
    assert_eq!(sources, json!([["shopify", "9 Shop Road"], ["database", "2 New Road"], ["shopify", "8 Shop Road"]]));
}
