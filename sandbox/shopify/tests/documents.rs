//! Documents: the same from the same seed, true to the penny, with every trait of real ones.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde_json::Value;

use crate::shopify::{Delivery, Faults, Kind, Shop, catalogue, sign};

fn shop(seed: u64) -> Shop {
    let opening: DateTime<Utc> = "2026-03-28T22:00:00Z".parse().expect("a moment");
    Shop::new(seed, opening, Duration::from_secs(40))
}

fn everything(seed: u64, orders: u64) -> Vec<Delivery> {
    let shop = shop(seed);
    (0..orders).flat_map(|n| shop.deliveries(n, &Faults::default())).collect()
}

fn document(delivery: &Delivery) -> Value {
    serde_json::from_slice(&delivery.body).expect("an order is JSON")
}

fn amount(value: &Value) -> Decimal {
    let text = value.as_str().expect("money is text");
    assert_eq!(text.split_once('.').map(|(_, pence)| pence.len()), Some(2), "{text}");
    Decimal::from_str(text).expect("money is a decimal")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("it is a list")
}

/// An amount in the shop's or in the buyer's currency.
fn in_money(set: &Value, money: &str) -> Decimal {
    amount(&set[money]["amount"])
}

#[test]
fn the_same_seed_gives_the_same_bytes_in_any_order() {
    assert_eq!(everything(7, 300), everything(7, 300));
    let (one, other) = (shop(7), shop(7));
    for n in (0..300).rev() {
        let faults = Faults::default();
        assert_eq!(one.deliveries(n, &faults), other.deliveries(n, &faults));
    }
}

#[test]
fn another_seed_gives_other_orders() {
    let ids = |seed| -> BTreeSet<i64> { everything(seed, 300).iter().map(|delivery| delivery.order_id).collect() };
    assert!(ids(7).is_disjoint(&ids(8)));
    let bodies: BTreeSet<_> = everything(7, 300).into_iter().map(|delivery| delivery.body).collect();
    assert!(everything(8, 300).iter().all(|delivery| !bodies.contains(&delivery.body)));
}

#[test]
fn faults_change_what_is_sent_and_not_what_happened() {
    let (clean, shop) = (Faults::NONE, shop(7));
    for n in 0..300 {
        let originals = |faults: &Faults| -> BTreeSet<_> {
            shop.deliveries(n, faults)
                .into_iter()
                .filter(|delivery| delivery.kind == Kind::Original)
                .map(|delivery| (delivery.webhook_id, delivery.body))
                .collect()
        };
        let all = Faults { duplicate: 1.0, out_of_order: 1.0, replay: 1.0 };
        assert_eq!(originals(&clean), originals(&all));
        assert!(shop.deliveries(n, &clean).iter().all(|sent| sent.kind == Kind::Original));
        assert_eq!(shop.deliveries(n, &all).len(), 3 * shop.deliveries(n, &clean).len());
    }
}

#[test]
fn a_duplicate_keeps_its_id_and_a_replay_does_not() {
    let all = Faults { duplicate: 1.0, out_of_order: 0.0, replay: 1.0 };
    let sent = shop(7).deliveries(3, &all);
    let of = |kind| sent.iter().filter(move |delivery| delivery.kind == kind);
    let originals: BTreeSet<_> = of(Kind::Original).map(|delivery| delivery.webhook_id).collect();
    assert!(of(Kind::Duplicate).all(|delivery| originals.contains(&delivery.webhook_id)));
    assert!(of(Kind::Replay).all(|delivery| !originals.contains(&delivery.webhook_id)));
}

/// Lines, discounts, delivery and VAT of every order, in both currencies.
#[test]
fn money_adds_up_to_the_penny() {
    for delivery in everything(11, 3_000) {
        let order = document(&delivery);
        for money in ["shop_money", "presentment_money"] {
            check_sums(&order, money);
        }
        for field in ["subtotal_price", "total_price", "total_tax", "total_discounts"] {
            let set = &order[format!("{field}_set")];
            assert_eq!(amount(&order[field]), in_money(set, "shop_money"), "{field}");
        }
    }
}

fn check_sums(order: &Value, money: &str) {
    let of = |field: &str| in_money(&order[format!("{field}_set")], money);
    let lines = list(&order["line_items"]);
    let shipping = list(&order["shipping_lines"]);
    let sum = |parts: &[Value], field: &str| -> Decimal {
        parts
            .iter()
            .flat_map(|part| list(&part[field]))
            .map(|part| in_money(part.get("amount_set").unwrap_or(&part["price_set"]), money))
            .sum()
    };
    let gross: Decimal =
        lines.iter().map(|line| in_money(&line["price_set"], money) * Decimal::from(line["quantity"].as_i64().expect("a count"))).sum();
    assert_eq!(gross, of("total_line_items_price"));
    assert_eq!(sum(lines, "discount_allocations"), of("total_discounts"));
    assert_eq!(gross - of("total_discounts"), of("subtotal_price"));
    let delivery: Decimal = shipping.iter().map(|line| in_money(&line["price_set"], money)).sum();
    assert_eq!(delivery, of("total_shipping_price"));
    assert_eq!(of("subtotal_price") + delivery, of("total_price"));
    let vat = sum(lines, "tax_lines") + sum(shipping, "tax_lines");
    assert_eq!(vat, of("total_tax"));
    let sixth = of("total_price") / Decimal::from(6);
    assert!((vat - sixth).abs() <= Decimal::new(5, 3), "{vat} is not a sixth of {sixth}");
}

#[test]
fn every_trait_of_real_orders_occurs() {
    let orders: Vec<Value> = everything(5, 2_000).iter().map(document).collect();
    let some = |what: &str, holds: &dyn Fn(&Value) -> bool| {
        let count = orders.iter().filter(|order| holds(order)).count();
        assert!(count > 0 && count < orders.len(), "{what}: {count} of {}", orders.len());
    };
    some("large ids", &|order| order["id"].as_i64() > Some(1 << 53));
    some("guests, customer null", &|order| order.get("customer") == Some(&Value::Null));
    some("guests, customer absent", &|order| order.get("customer").is_none());
    some("empty email", &|order| order["email"] == "");
    some("other email", &|order| order["customer"]["email"].is_string() && order["email"] != order["customer"]["email"]);
    some("no shipping address", &|order| order.get("shipping_address").is_none());
    some("null shipping address", &|order| order.get("shipping_address") == Some(&Value::Null));
    some("test orders", &|order| order["test"] == true);
    some("euros", &|order| order["presentment_currency"] == "EUR");
    some("free of charge", &|order| order["total_price"] == "0.00");
    some("no product", &|order| list(&order["line_items"]).iter().any(|line| line["sku"].is_null()));
    some("properties as object", &|order| list(&order["line_items"]).iter().any(|line| line["properties"].is_object()));
    some("summer time", &|order| order["created_at"].as_str().is_some_and(|at| at.ends_with("+01:00")));
    for status in ["pending", "paid", "refunded", "voided"] {
        some(status, &|order| order["financial_status"] == status);
    }
    some("subscriptions", &|order| order["source_name"].as_str().is_some_and(|name| name.starts_with("subscription_contract")));
    some("JSON in attributes", &|order| {
        list(&order["note_attributes"]).iter().any(|attribute| {
            attribute["value"].as_str().is_some_and(|text| serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object()))
        })
    });
}

#[test]
fn ids_are_distinct_and_large_ones_survive() {
    let shop = shop(5);
    let ids: BTreeSet<i64> = (0..5_000).map(|n| shop.truths(n)[0].order_id).collect();
    assert_eq!(ids.len(), 5_000);
    for n in 0..500 {
        let sent = shop.deliveries(n, &Faults::NONE);
        assert_eq!(document(&sent[0])["id"].as_i64(), Some(sent[0].order_id));
    }
}

/// The ledger is what a careful reader would take from the newest document.
#[test]
fn the_truth_is_what_the_documents_say() {
    let shop = shop(9);
    for n in 0..1_000 {
        let truths = shop.truths(n);
        assert!(truths.is_sorted_by_key(|truth| truth.updated_at));
        for delivery in shop.deliveries(n, &Faults::default()) {
            let (order, truth) = (document(&delivery), &truths[delivery.version]);
            let updated_at: DateTime<Utc> = order["updated_at"].as_str().and_then(|at| at.parse().ok()).expect("a moment");
            assert_eq!(updated_at, truth.updated_at);
            assert_eq!(order["name"], truth.name);
            assert_eq!(amount(&order["total_price"]), truth.total);
            assert_eq!(order["currency"], truth.currency);
            assert_eq!(list(&order["line_items"]).len(), truth.lines);
            assert_eq!(order["financial_status"], truth.financial_status);
            assert_eq!(order["cancelled_at"].is_string(), truth.is_cancelled);
        }
    }
}

#[test]
fn versions_of_an_order_grow_newer() {
    let shop = shop(9);
    for n in 0..1_000 {
        let truths = shop.truths(n);
        assert!(truths.windows(2).all(|pair| pair[0].updated_at < pair[1].updated_at));
    }
}

#[test]
fn orders_name_products_of_the_catalogue_at_its_prices() {
    for delivery in everything(5, 300) {
        for line in list(&document(&delivery)["line_items"]) {
            let Some(sku) = line["sku"].as_str() else { continue };
            let product = catalogue().iter().find(|product| product.sku == sku).expect("it is listed");
            assert_eq!(amount(&line["price"]), Decimal::new(product.price_pence, 2));
            assert_eq!(line["grams"], product.grams);
        }
    }
    let skus: BTreeSet<_> = catalogue().iter().map(|product| product.sku).collect();
    assert_eq!(skus.len(), catalogue().len());
    assert_eq!(catalogue()[0].kg(), Decimal::new(5, 1));
}

/// Made with another implementation.
#[test]
fn signatures_are_those_of_shopify() {
    let body = br#"{"id":820982911946154508,"email":"jon@example.com"}"#;
    assert_eq!(sign("shpss_1f0c2a7b", body), "nkXh4XjTT6zCYGD/PkeEp8rovuGq0UTwJa16k5mEAcg=");
}
