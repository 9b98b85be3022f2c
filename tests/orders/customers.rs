//! Whose order it is.

use serde_json::{Value, json};

use super::inbox::{count, execute, later, paid, paid_with, process, row};
use crate::support::Database;

/// The paid order as a new one with this id, and these fields in place of its own.
fn another(id: i64, fields: Value) -> Value {
    let mut document = paid_with(fields);
    document["id"] = json!(id);
    for (index, line) in document["line_items"].as_array_mut().expect("an order has lines").iter_mut().enumerate() {
        line["id"] = json!(id * 10 + index as i64);
    }
    document
}

#[tokio::test]
async fn a_guest_without_an_address_is_no_customer() {
    let db = Database::new().await;
    for (id, customer) in [(1, Value::Null), (2, json!({ "id": null, "email": " " }))] {
        let guest = another(id, json!({ "customer": customer, "email": "", "contact_email": null }));
        assert_eq!(process(db.pool(), &guest).await, Ok("created".into()));
    }
    assert_eq!(count(db.pool(), "raw_ops.customers").await, 0);
    assert_eq!(count(db.pool(), "raw_ops.orders where customer_id is null and ship_name = 'Ada Bell'").await, 2);
}

#[tokio::test]
async fn a_guest_with_an_address_is_found_again_in_any_case() {
    let db = Database::new().await;
    let guest = json!({ "customer": null, "email": "Ada@Example.test" });
    process(db.pool(), &another(1, guest)).await.expect("the guest's order is sound");
    process(db.pool(), &another(2, json!({}))).await.expect("the customer's order is sound");
    let customer = row(
        db.pool(),
        "select shopify_customer_id, email, address1, (select count(*) from raw_ops.orders) as orders from raw_ops.customers",
    )
    .await;
    assert_eq!(
        customer,
        json!({ "shopify_customer_id": "7234567890123456789", "email": "Ada@Example.test", "address1": "1 Quay Street", "orders": 2 })
    );
}

#[tokio::test]
async fn an_order_keeps_its_customer_when_a_document_leaves_them_out() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    let mut thin = later(5, json!({}));
    for field in ["customer", "email", "contact_email", "shipping_address", "tags", "note_attributes", "landing_site", "discount_codes"] {
        thin.as_object_mut().expect("an order").remove(field);
    }
    assert_eq!(process(db.pool(), &thin).await, Ok("updated".into()));
    let order =
        row(db.pool(), "select customer_id is not null as customer, ship_city, tags, utm, discount_codes from raw_ops.orders").await;
    assert_eq!(
        order,
        json!({ "customer": true, "ship_city": "Portsmouth", "tags": ["first box", "Collie"],
                "utm": { "utm_source": "newsletter" }, "discount_codes": paid()["discount_codes"] })
    );
}

#[tokio::test]
async fn a_customer_who_changes_their_address_stays_one_customer() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    let mut document = another(2, json!({}));
    document["customer"]["email"] = json!("bell@example.test");
    process(db.pool(), &document).await.expect("the second order is sound");
    assert_eq!(row(db.pool(), "select email from raw_ops.customers").await, json!({ "email": "bell@example.test" }));
}

#[tokio::test]
async fn an_address_of_another_customer_is_not_taken() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    execute(db.pool(), "insert into raw_ops.customers (shopify_customer_id, email) values ('55', 'taken@example.test')").await;
    for id in [2, 3] {
        let mut document = another(id, json!({}));
        document["customer"]["email"] = json!("taken@example.test");
        process(db.pool(), &document).await.expect("a conflict refuses no order");
    }
    assert_eq!(count(db.pool(), "raw_ops.customers where email in ('ada@example.test', 'taken@example.test')").await, 2);
    assert_eq!(
        count(db.pool(), "raw_ops.orders o join raw_ops.customers c on c.id = o.customer_id where c.email = 'ada@example.test'").await,
        3
    );
    assert_eq!(count(db.pool(), "raw_ops.ops_events where kind = 'customer_conflict'").await, 1);
}

#[tokio::test]
async fn two_shopify_customers_with_one_address_are_not_merged() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    let mut document = another(2, json!({}));
    document["customer"]["id"] = json!(99);
    process(db.pool(), &document).await.expect("a conflict refuses no order");
    let owner = row(
        db.pool(),
        "select c.shopify_customer_id, c.email, e.meta ->> 'other_customer_id' = x.id::text as told
         from raw_ops.orders o join raw_ops.customers c on c.id = o.customer_id
         join raw_ops.ops_events e on e.entity_id = c.id and e.kind = 'customer_conflict'
         join raw_ops.customers x on x.email = 'ada@example.test'
         where o.shopify_order_id = '2'",
    )
    .await;
    assert_eq!(owner, json!({ "shopify_customer_id": "99", "email": null, "told": true }));
}

#[tokio::test]
async fn an_order_can_take_consent_away_but_not_give_it() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    let mut refused = another(2, json!({}));
    refused["customer"]["email_marketing_consent"]["state"] = json!("unsubscribed");
    for (document, expected) in [(another(3, json!({})), true), (refused, false), (another(4, json!({})), false)] {
        process(db.pool(), &document).await.expect("the order is sound");
        assert_eq!(row(db.pool(), "select marketing_opt_in as agreed from raw_ops.customers").await, json!({ "agreed": expected }));
    }
}
