//! Money: exact, in the shop's currency, and what counts as VAT.

use serde_json::{Value, json};

use super::inbox::{count, paid, paid_with, process, row};
use crate::support::Database;

const MONEY: &str = "select subtotal_ex_vat::text as subtotal, vat::text, total_inc_vat::text as total, currency, subtotal_gbp::text,
    tax_gbp::text, total_gbp::text, discount_gbp::text from raw_ops.orders";

/// The list prices without VAT of the order's lines, in the order of their ids.
async fn unit_prices(db: &Database) -> Value {
    row(db.pool(), "select jsonb_agg(unit_price_ex_vat::text order by shopify_line_item_id) as prices from raw_ops.order_items").await["prices"].take()
}

/// The paid order, each line changed by `change`.
fn with_lines(fields: Value, change: impl Fn(&mut Value)) -> Value {
    let mut document = paid_with(fields);
    document["line_items"].as_array_mut().expect("an order has lines").iter_mut().for_each(change);
    document
}

#[tokio::test]
async fn vat_inside_the_prices_is_taken_out() {
    let db = Database::new().await;
    process(db.pool(), &paid()).await.expect("the order is sound");
    assert_eq!(
        row(db.pool(), MONEY).await,
        json!({ "subtotal": "29.50", "vat": "6.89", "total": "41.34", "currency": "GBP",
                "subtotal_gbp": "29.50", "tax_gbp": "6.89", "total_gbp": "41.34", "discount_gbp": "3.00" })
    );
    assert_eq!(unit_prices(&db).await, json!(["6.25", "3.50"]));
}

#[tokio::test]
async fn vat_on_top_of_the_prices_leaves_them_as_they_are() {
    let db = Database::new().await;
    let document = paid_with(json!({ "taxes_included": false, "subtotal_price": "35.40", "total_tax": "8.27", "total_price": "49.61" }));
    process(db.pool(), &document).await.expect("the order is sound");
    let money = row(db.pool(), MONEY).await;
    assert_eq!((&money["subtotal"], &money["vat"], &money["total"]), (&json!("35.40"), &json!("8.27"), &json!("49.61")));
    assert_eq!(unit_prices(&db).await, json!(["7.50", "4.20"]));
}

#[tokio::test]
async fn an_explicit_zero_is_believed() {
    let db = Database::new().await;
    let document = with_lines(json!({ "total_tax": "0.00", "tax_lines": [], "shipping_lines": [] }), |line| line["tax_lines"] = json!([]));
    process(db.pool(), &document).await.expect("the order is sound");
    let money = row(db.pool(), MONEY).await;
    assert_eq!((&money["subtotal"], &money["vat"]), (&json!("35.40"), &json!("0.00")));
    assert_eq!(unit_prices(&db).await, json!(["7.50", "4.20"]));
}

#[tokio::test]
async fn vat_that_shopify_does_not_mention_is_the_standard_rate() {
    let db = Database::new().await;
    let mut document = with_lines(json!({ "tax_lines": [], "total_tax": null }), |line| {
        line.as_object_mut().expect("a line").remove("tax_lines");
    });
    document["shipping_lines"] = json!([{ "price": "5.94" }]);
    process(db.pool(), &document).await.expect("the order is sound");
    let money = row(db.pool(), MONEY).await;
    assert_eq!((&money["subtotal"], &money["vat"], &money["total"]), (&json!("29.50"), &json!("6.89"), &json!("41.34")));
    assert_eq!(unit_prices(&db).await, json!(["6.25", "3.50"]));
}

#[tokio::test]
async fn a_gift_card_and_an_untaxed_line_have_no_vat() {
    let db = Database::new().await;
    let mut document =
        with_lines(json!({ "tax_lines": [], "total_tax": null, "shipping_lines": [] }), |line| line["tax_lines"] = json!([]));
    document["line_items"][0]["gift_card"] = json!(true);
    document["line_items"][1]["taxable"] = json!(false);
    process(db.pool(), &document).await.expect("the order is sound");
    let money = row(db.pool(), MONEY).await;
    assert_eq!((&money["subtotal"], &money["vat"]), (&json!("35.40"), &json!("0.00")));
    assert_eq!(unit_prices(&db).await, json!(["7.50", "4.20"]));
}

#[tokio::test]
async fn a_line_given_away_keeps_the_list_price_without_vat() {
    let db = Database::new().await;
    let mut document = paid();
    document["line_items"][1]["discount_allocations"] = json!([{ "amount": "8.40" }]);
    document["line_items"][1]["tax_lines"] = json!([{ "rate": 0.2, "price": "0.00" }]);
    process(db.pool(), &document).await.expect("the order is sound");
    assert_eq!(unit_prices(&db).await, json!(["6.25", "3.50"]));
}

#[tokio::test]
async fn a_unit_price_is_rounded_half_up_to_the_penny() {
    let db = Database::new().await;
    let mut document = paid();
    document["line_items"][0]["price"] = json!("11.00");
    document["line_items"][1]["price"] = json!("4.23");
    process(db.pool(), &document).await.expect("the order is sound");
    assert_eq!(unit_prices(&db).await, json!(["9.17", "3.53"]));
}

#[tokio::test]
async fn what_the_buyer_saw_in_another_currency_is_not_the_orders_money() {
    let db = Database::new().await;
    let mut document = paid_with(json!({ "presentment_currency": "EUR" }));
    document["total_price_set"] = json!({ "shop_money": { "amount": "41.34", "currency_code": "GBP" },
                                          "presentment_money": { "amount": "48.90", "currency_code": "EUR" } });
    process(db.pool(), &document).await.expect("the order is sound");
    let money = row(db.pool(), MONEY).await;
    assert_eq!((&money["total"], &money["currency"], &money["total_gbp"]), (&json!("41.34"), &json!("GBP"), &json!("41.34")));
}

#[tokio::test]
async fn an_amount_in_another_currency_is_no_pounds() {
    let db = Database::new().await;
    process(db.pool(), &paid_with(json!({ "currency": "EUR" }))).await.expect("the order is sound");
    let money = row(db.pool(), MONEY).await;
    assert_eq!((&money["total"], &money["currency"]), (&json!("41.34"), &json!("EUR")));
    for column in ["subtotal_gbp", "tax_gbp", "total_gbp", "discount_gbp"] {
        assert_eq!(money[column], Value::Null, "{column}");
    }
    assert_eq!(count(db.pool(), "raw_ops.order_items where unit_price_gbp is null").await, 2);
}

#[tokio::test]
async fn thousands_of_exact_pennies_stay_exact() {
    let db = Database::new().await;
    process(db.pool(), &paid_with(json!({ "subtotal_price": "9999999999.99", "total_tax": "0.01", "tax_lines": [], "shipping_lines": [], "total_price": "9999999999.99" })))
        .await
        .expect("the largest amount fits");
    let money = row(db.pool(), MONEY).await;
    assert_eq!((&money["subtotal"], &money["total"]), (&json!("9999999999.98"), &json!("9999999999.99")));
}
