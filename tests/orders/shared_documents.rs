//! Documents that Shopify and real shops sent, where the collection of them is beside the project.

use std::{collections::HashMap, fs, path::PathBuf};

use jobs::orders::shopify_order::ShopifyOrder;
use jobs::orders::shopify_refund::{ShopifyFulfillment, ShopifyRefund};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Value;

use super::inbox::{count, execute, process, row};
use crate::support::Database;

#[derive(Deserialize)]
struct Entry {
    file: String,
    topic: String,
}

/// The documents by file name, those of orders first; none where the collection is absent.
pub fn documents() -> Vec<(String, String, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures/shopify");
    let Ok(manifest) = fs::read_to_string(folder.join("MANIFEST.json")) else { return Vec::new() };
    let entries: Vec<Entry> = serde_json::from_str(&manifest).expect("the manifest is a list");
    entries
        .into_iter()
        .map(|entry| {
            let text = fs::read_to_string(folder.join(&entry.file)).expect("the file of the manifest is there");
            let mut document: Value = serde_json::from_str(&text).expect("the file is JSON");
            if let Some(inner) = document.as_object_mut().filter(|outer| outer.len() == 1).and_then(|outer| outer.remove("order")) {
                document = inner;
            }
            (entry.file, entry.topic, document)
        })
        .collect()
}

fn amount(document: &Value, field: &str) -> Decimal {
    document[field].as_str().map_or(Decimal::ZERO, |text| text.parse().expect("an amount"))
}

#[tokio::test]
async fn every_order_is_written_with_its_money_or_refused_by_name() {
    // The one order without ids on its lines: they could not be recognised when it changes.
    let refused = HashMap::from([("taxreceipts_order_with_discount.json", "line_items[0]: missing field `id`")]);
    let db = Database::new().await;
    for (file, topic, document) in documents().into_iter().filter(|(_, topic, _)| topic.starts_with("orders/")) {
        execute(db.pool(), "truncate raw_ops.orders, raw_ops.order_items, raw_ops.customers, raw_ops.allocation_queue cascade").await;
        let read = ShopifyOrder::parse(&topic, &document);
        if let Some(reason) = refused.get(file.as_str()) {
            assert_eq!(read.expect_err("the order is refused").to_string(), *reason, "{file}");
            process(db.pool(), &document).await.expect_err("the database refuses it too");
            continue;
        }
        read.unwrap_or_else(|refusal| panic!("{file}: {refusal}"));
        assert_eq!(process(db.pool(), &document).await, Ok("created".into()), "{file}");
        assert_money(&db, &file, &document).await;
        assert_eq!(process(db.pool(), &document).await, Ok("stale".into()), "{file}");
    }
}

/// None of these has VAT inside its prices that was charged, so each amount must be Shopify's own.
async fn assert_money(db: &Database, file: &str, document: &Value) {
    let money = row(db.pool(), "select subtotal_ex_vat::text, vat::text, total_inc_vat::text, currency from raw_ops.orders").await;
    for (column, field) in [("subtotal_ex_vat", "subtotal_price"), ("vat", "total_tax"), ("total_inc_vat", "total_price")] {
        let written: Decimal = money[column].as_str().expect("text").parse().expect("an amount");
        assert_eq!(written, amount(document, field), "{file}: {column}");
    }
    assert_eq!(money["currency"], document["currency"], "{file}");
    let ids = document["line_items"].as_array().expect("an order has lines").len();
    let lines = count(db.pool(), "raw_ops.order_items").await;
    assert!(lines >= 1 && lines <= ids as i64, "{file}: {lines} of {ids} lines");
}

#[tokio::test]
async fn what_is_no_order_is_refused_even_under_an_orders_topic() {
    for (file, _, document) in documents().into_iter().filter(|(_, topic, _)| !topic.starts_with("orders/")) {
        ShopifyOrder::parse("orders/create", &document).expect_err(&file);
    }
}

/// The order of most documents of refunds and fulfilments in the collection.
fn their_order(document: &Value) -> Value {
    let lines: Vec<Value> = [703_073_504_i64, 466_157_049, 518_995_019, 866_550_311_766_439_020]
        .map(|id| serde_json::json!({ "id": id, "quantity": 9, "price": "1.00", "sku": "S" }))
        .to_vec();
    let mut order = super::inbox::paid();
    order["id"] = document["order_id"].clone();
    order["line_items"] = lines.into();
    order["total_price"] = "9999.00".into();
    order
}

#[tokio::test]
async fn every_refund_and_fulfilment_is_written_or_refused_by_name() {
    let refused = HashMap::from([("mercadopago_refund.json", "missing field `id`"), ("pyapi_refund.json", "missing field `id`")]);
    let mut seen = 0;
    for (file, topic, document) in documents() {
        let (function, read) = match topic.as_str() {
            "refunds/create" => ("process_refund_webhook_txn", ShopifyRefund::parse(&document).map(drop)),
            "fulfillments/create" => ("process_fulfillment_webhook_txn", ShopifyFulfillment::parse(&document).map(drop)),
            _ => continue,
        };
        seen += 1;
        if let Some(reason) = refused.get(file.as_str()) {
            assert_eq!(read.expect_err("it is refused").to_string(), *reason, "{file}");
            continue;
        }
        read.unwrap_or_else(|refusal| panic!("{file}: {refusal}"));
        let db = Database::new().await;
        process(db.pool(), &their_order(&document)).await.unwrap_or_else(|error| panic!("{file}: {error}"));
        let inbox_id = super::inbox::receive(db.pool(), &topic, &document).await;
        let outcome: String = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select outcome from raw_ops.{function}($1)")))
            .bind(inbox_id)
            .fetch_one(db.pool())
            .await
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(outcome, "recorded", "{file}");
    }
    assert!(seen == 0 || seen == 7, "{seen} documents are in the collection");
}
