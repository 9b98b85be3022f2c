//! What counts as an order document, and what is said of one that does not.

use jobs::orders::shopify_order::ShopifyOrder;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::inbox::{paid, paid_with};

fn refusal(document: &Value) -> String {
    ShopifyOrder::parse("orders/create", document).expect_err("the document is no order").to_string()
}

/// The paid order with one field of its first line replaced.
fn with_line(field: &str, value: Value) -> Value {
    let mut document = paid();
    document["line_items"][0][field] = value;
    document
}

#[test]
fn an_order_is_read_exactly() {
    let order = ShopifyOrder::parse("orders/paid", &paid()).expect("the fixture is an order");
    assert_eq!(order.id.0, 5_123_456_789_012_345_678);
    assert_eq!(order.total_price.0, Decimal::new(4134, 2));
    assert_eq!(order.updated_at.expect("it has an age").0.to_rfc3339(), "2026-03-29T01:00:01+00:00");
    assert_eq!(order.line_items.len(), 2);
}

#[test]
fn what_an_order_can_do_without_may_be_missing() {
    let document = json!({
        "id": "1", "currency": "GBP", "created_at": "2026-01-01T00:00:00-08:00", "total_price": 1.5, "subtotal_price": "1",
        "line_items": [{ "id": 2, "quantity": 1, "price": "1.5" }],
    });
    ShopifyOrder::parse("orders/create", &document).expect("nothing it needs is missing");
}

#[test]
fn every_shape_that_shopify_is_known_to_send_is_taken() {
    for fields in [
        json!({ "customer": null, "email": "", "shipping_address": null, "tags": "" }),
        json!({ "customer": { "id": null, "email": null } }),
        json!({ "note_attributes": {}, "discount_codes": null, "tax_lines": {}, "shipping_lines": null }),
        json!({ "total_tax": null, "total_discounts": null, "taxes_included": null, "test": true }),
    ] {
        ShopifyOrder::parse("orders/create", &paid_with(fields.clone())).unwrap_or_else(|refusal| panic!("{fields}: {refusal}"));
    }
    for (field, value) in [("properties", json!({})), ("sku", Value::Null), ("product_id", Value::Null), ("tax_lines", Value::Null)] {
        ShopifyOrder::parse("orders/create", &with_line(field, value)).unwrap_or_else(|refusal| panic!("{field}: {refusal}"));
    }
}

#[test]
fn a_refusal_says_what_is_wrong_and_where() {
    for (document, expected) in [
        (json!([]), "the payload is not a JSON object"),
        (Value::Null, "the payload is not a JSON object"),
        (json!({ "order": {} }), "missing field `id`"),
        (paid_with(json!({ "id": 0 })), "id: expected an id, a positive integer"),
        (paid_with(json!({ "id": 1.5 })), "id: expected an id, a positive integer"),
        (paid_with(json!({ "id": 92_233_720_368_547_758_080.0 })), "id: expected an id, a positive integer"),
        (paid_with(json!({ "id": "007" })), "id: expected an id, a positive integer"),
        (paid_with(json!({ "total_tax": "1_000" })), "total_tax: expected an amount of money, such as \"12.50\""),
        (paid_with(json!({ "currency": "£" })), "currency: expected three letters"),
        (paid_with(json!({ "total_price": "12,50" })), "total_price: expected an amount of money, such as \"12.50\""),
        (paid_with(json!({ "total_price": null })), "total_price: expected an amount of money, such as \"12.50\""),
        (paid_with(json!({ "total_price": "-1" })), "total_price: the amount is negative"),
        (paid_with(json!({ "total_price": "1.001" })), "total_price: the amount has more than two decimals"),
        (paid_with(json!({ "total_price": "1000000000" })), "total_price: the amount is too large"),
        (paid_with(json!({ "total_tax": "41.35" })), "total_tax: more tax than the order's total_price"),
        (with_line("price", json!("900000000")), "line_items: together they cost too much"),
        (paid_with(json!({ "line_items": [] })), "line_items is empty: an order needs at least one line"),
        (paid_with(json!({ "line_items": null })), "line_items: invalid type: null, expected a sequence"),
        (with_line("id", Value::Null), "line_items[0].id: expected an id, a positive integer"),
        (with_line("id", json!(9_100_000_000_000_000_002_i64)), "line_items: the id 9100000000000000002 stands there twice"),
        (with_line("quantity", json!(-1)), "line_items[0].quantity: expected a count of units, from 0"),
        (with_line("quantity", json!(3_000_000_000_i64)), "line_items[0].quantity: expected a count of units, from 0"),
        (with_line("tax_lines", json!([{ "price": "x" }])), "line_items[0].tax_lines: expected an amount of money, such as \"12.50\""),
        (
            paid_with(json!({ "updated_at": null, "created_at": null })),
            "updated_at and created_at are missing: the age of the document is unknown",
        ),
    ] {
        assert_eq!(refusal(&document), expected);
    }
}

#[test]
fn a_missing_line_field_is_named_with_its_line() {
    let mut document = paid();
    document["line_items"][1].as_object_mut().expect("a line").remove("price");
    assert_eq!(refusal(&document), "line_items[1]: missing field `price`");
}

#[test]
fn a_time_that_is_none_is_named() {
    for time in ["yesterday", "2026-02-30T00:00:00Z", "9999-01-01T00:00:00Z", "2026-01-01T00:00:00+23:00", ""] {
        let said = refusal(&paid_with(json!({ "updated_at": time })));
        assert_eq!(said, "updated_at: expected a time of this century, such as \"2026-03-29T01:00:00+01:00\"", "{time}");
    }
}

#[test]
fn a_webhook_of_another_topic_holds_no_order() {
    let said = ShopifyOrder::parse("refunds/create", &paid()).expect_err("a refund is no order").to_string();
    assert_eq!(said, "a webhook of topic refunds/create holds no order");
}

#[test]
fn a_long_wrong_value_is_not_repeated_whole() {
    let said = refusal(&paid_with(json!({ "test": "é".repeat(100_000) })));
    assert!(said.len() < 400, "{} bytes", said.len());
}
