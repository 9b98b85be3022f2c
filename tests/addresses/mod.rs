//! A customer's new address reaches Shopify and Seal, each tracked by itself.

mod crashes;
mod note;
mod sweep_changes;
mod sync_address_change;
mod sync_to_seal;
mod sync_to_shopify;

use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::orders::inbox::{execute, row};
use crate::support::{Database, Outside, shelf::rows};

/// Shopify's id of the customer.
pub const CUSTOMER: i64 = 7_000_000_000_001;
/// Seal's id of the subscription.
pub const SUBSCRIPTION: u64 = 8_458_680;

/// An address with the names of Shopify's input.
pub fn shown(line: &str, zip: &str) -> Value {
    json!({ "address1": line, "address2": "", "city": "York", "zip": zip, "countryCode": "GB" })
}

/// A subscription of Seal that goes there.
pub fn subscription(id: u64, line: &str, zip: &str) -> Value {
    json!({ "id": id, "status": "ACTIVE", "s_address1": line, "s_address2": "", "s_city": "York", "s_zip": zip, "s_country_code": "GB" })
}

/// A customer who lives at 1 Old Road and has one subscription; Shopify and Seal know it.
pub async fn settled() -> (Database, Outside) {
    let (db, outside) = (Database::new().await, Outside::start().await);
    settle(db.pool()).await;
    known(&outside);
    (db, outside)
}

/// Shopify and Seal know the customer.
pub fn known(outside: &Outside) {
    outside.shopify.put_customer(CUSTOMER, Some(shown("1 Old Road", "YO1 7EP")));
    outside.seal.put(subscription(SUBSCRIPTION, "1 Old Road", "YO1 7EP"));
}

/// The rows of that customer.
pub async fn settle(pool: &PgPool) {
    execute(
        pool,
        &format!(
            "insert into raw_ops.customers (shopify_customer_id, email, first_name, last_name, address1, city, postcode, country_code)
             values ('{CUSTOMER}', 'ann@example.com', 'Ann', 'Ash', '1 Old Road', 'York', 'YO1 7EP', 'GB')"
        ),
    )
    .await;
    subscribe(pool, SUBSCRIPTION).await;
}

/// One more subscription of the customer.
pub async fn subscribe(pool: &PgPool, id: u64) {
    execute(
        pool,
        &format!(
            "insert into raw_ops.subscriptions (customer_id, shopify_subscription_id, seal_subscription_id, price_gbp)
             select id, 'seal:{id}', '{id}', 89 from raw_ops.customers"
        ),
    )
    .await;
}

/// The customer moves. Returns the change.
pub async fn moves(pool: &PgPool, line: &str, zip: &str) -> Uuid {
    execute(pool, &format!("update raw_ops.customers set address1 = '{line}', postcode = '{zip}'")).await;
    sqlx::query_scalar("select id from raw_ops.address_changes order by number desc limit 1")
        .fetch_one(pool)
        .await
        .expect("it is written down")
}

/// Where each change stands with Shopify and Seal, oldest first.
pub async fn states(pool: &PgPool) -> Value {
    rows(pool, "select shopify_state, seal_state from raw_ops.address_changes order by number").await
}

/// Why the newest change was not told.
pub async fn errors(pool: &PgPool) -> Value {
    row(pool, "select shopify_error, seal_error from raw_ops.address_changes order by number desc limit 1").await
}

/// What Shopify has: the line, and how often it was written.
pub fn at_shopify(outside: &Outside) -> (Value, u64) {
    let (address, writes) = outside.shopify.address(CUSTOMER);
    (address.map_or(Value::Null, |address| address["address1"].clone()), writes)
}

/// What Seal has: the line, and how often it was written.
pub fn at_seal(outside: &Outside) -> (Value, usize) {
    let subscription = outside.seal.subscription(SUBSCRIPTION);
    (subscription.map_or(Value::Null, |subscription| subscription["s_address1"].clone()), outside.seal.writes().len())
}
