//! The documents that go to and fro: orders and refunds of Shopify, subscriptions of Seal, files of the packer, logs.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::course::{DELIVERY, Fate, Order, PRODUCTS, TOWNS};
use crate::orders::inbox::paid_with;

/// Shopify's id of a person.
pub const fn customer_id(person: usize) -> i64 {
    7_700_000_000_000 + person as i64
}

/// The address of a person for mail.
pub fn mail_of(person: usize) -> String {
    format!("person{person}@example.com")
}

/// Seal's id of a person's subscription.
pub const fn subscription_id(person: usize) -> u64 {
    8_800_000 + person as u64
}

/// Where a person lives, with the names of Shopify's input.
pub fn home(person: usize) -> Value {
    let (city, zip) = TOWNS[person % TOWNS.len()];
    json!({ "address1": format!("{} Home Road", person + 1), "address2": "", "city": city, "zip": zip, "countryCode": "GB" })
}

/// Pence as documents have them.
fn pounds(pence: i64) -> String {
    format!("{}.{:02}", pence / 100, pence % 100)
}

/// An order of this day's noon as Shopify tells of it now, whose buyer has this default address there.
pub fn order(order: &Order, home: &Value, noon: DateTime<Utc>, now: DateTime<Utc>) -> Value {
    let placed_at = (noon - TimeDelta::minutes(6)).to_rfc3339();
    let total = order.total();
    let back: i64 = order.refunds.iter().sum();
    let financial_status = match (order.is_paid, order.is_cancelled) {
        (false, _) => "pending",
        (true, true) => "refunded",
        (true, false) if back > 0 => "partially_refunded",
        (true, false) => "paid",
    };
    let mail = mail_of(order.person);
    paid_with(json!({
        "id": order.id(), "name": order.label(), "order_number": 5_000 + order.n, "email": mail, "contact_email": mail,
        "financial_status": financial_status, "cancelled_at": order.is_cancelled.then(|| now.to_rfc3339()),
        "created_at": placed_at, "processed_at": placed_at,
        // Each version is newer than the one before, and none is of the future.
        "updated_at": (now - TimeDelta::minutes(5) + TimeDelta::seconds(order.changes)).to_rfc3339(),
        "subtotal_price": pounds(total - DELIVERY), "total_line_items_price": pounds(total - DELIVERY), "total_discounts": "0.00",
        "total_price": pounds(total), "total_tax": pounds(total / 6),
        "tax_lines": [{ "title": "GB VAT", "rate": 0.2, "price": pounds(total / 6) }], "discount_codes": [], "note": null,
        "customer": customer(order.person, home), "shipping_address": ship_to(order), "line_items": lines(order),
    }))
}

fn customer(person: usize, home: &Value) -> Value {
    let mut address = home.clone();
    address["country_code"] = "GB".into();
    json!({ "id": customer_id(person), "email": mail_of(person), "first_name": "Pat", "last_name": format!("Person {person}"),
            "default_address": address })
}

fn ship_to(order: &Order) -> Value {
    let (city, zip) = TOWNS[order.person % TOWNS.len()];
    let (zip, country) = if order.fate == Fate::Abroad { ("D02 XY45", "IE") } else { (zip, "GB") };
    let name = if order.fate == Fate::Formula { "=1+1" } else { "Pat Person" };
    json!({ "name": name, "phone": "+447700900123", "address1": format!("{} Box Street", order.door), "address2": null, "city": city,
            "zip": zip, "country_code": country })
}

fn lines(order: &Order) -> Value {
    let line = |(place, line): (usize, &super::course::Line)| {
        let (sku, price) = PRODUCTS[line.product];
        json!({
            "id": order.id() * 10 + place as i64, "product_id": 8_100 + line.product, "variant_id": 8_200 + line.product, "sku": sku,
            "title": sku, "quantity": line.sold, "current_quantity": line.current, "fulfillable_quantity": line.current,
            "fulfillment_status": null, "price": pounds(price), "total_discount": "0.00", "taxable": true, "gift_card": false,
            "discount_allocations": [], "tax_lines": [{ "title": "GB VAT", "rate": 0.2, "price": pounds(price * line.sold / 6) }],
            "properties": [],
        })
    };
    order.lines.iter().enumerate().map(line).collect()
}

/// The newest refund of an order: so many units of each line are not sent any more.
pub fn refund(order: &Order, cancelled: &[i64], now: DateTime<Utc>) -> Value {
    let amount = *order.refunds.last().expect("money was given back");
    let lines = cancelled.iter().enumerate().filter(|(_, units)| **units > 0).map(|(place, units)| {
        json!({ "line_item_id": order.id() * 10 + place as i64, "quantity": units, "restock_type": "cancel",
                "line_item": { "quantity": order.lines[place].sold } })
    });
    json!({
        "id": order.id() * 10 + order.refunds.len() as i64, "order_id": order.id(), "created_at": now.to_rfc3339(), "note": "sorry",
        "refund_line_items": lines.collect::<Vec<_>>(),
        "transactions": [{ "kind": "refund", "status": "success", "amount": pounds(amount), "currency": "GBP" }],
    })
}

/// A subscription of a person, which goes to the person's home.
pub fn subscription(person: usize, now: DateTime<Utc>) -> Value {
    let home = home(person);
    crate::subscriptions::subscription(json!({
        "id": subscription_id(person), "customer_id": customer_id(person).to_string(), "email": mail_of(person),
        "order_placed": now.to_rfc3339(), "shopify_graphql_subscription_contract_id": subscription_id(person).to_string(),
        "s_address1": home["address1"], "s_address2": "", "s_city": home["city"], "s_zip": home["zip"], "s_country_code": "GB",
        "log": [{ "content": "made", "created": now.format("%Y-%m-%d %H:%M:%S").to_string() }], "billing_attempts": [],
    }))
}

/// A reading each half hour from a moment on.
pub fn log(from: DateTime<Utc>, celsius: &[f64]) -> String {
    let rows = celsius.iter().enumerate().map(|(n, value)| {
        let at = from + TimeDelta::minutes(30 * n as i64);
        format!("{},{value}\n", at.format("%Y-%m-%d %H:%M:%S"))
    });
    format!("Serial,1\nDate Time (UTC),Temp (°C)\n{}", rows.collect::<String>())
}
