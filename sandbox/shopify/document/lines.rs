//! Lines, delivery and discounts of the document.

use serde_json::{Value, json};

use super::{Priced, money};
use crate::shopify::order::{Line, Order};

/// The lists of what was ordered, how it travels, and what was taken off.
pub fn lists(order: &Order) -> Value {
    let priced = Priced::of(order);
    let lines: Vec<Value> = (0..order.lines.len()).map(|place| line(order, &priced, place)).collect();
    let shipping_lines: Vec<Value> = (!order.is_collected).then(|| delivery(order, &priced)).into_iter().collect();
    json!({
        "line_items": lines,
        "shipping_lines": shipping_lines,
        "discount_applications": discount_applications(order),
        "discount_codes": discount_codes(order),
    })
}

/// Grams of the whole order.
pub fn weight(order: &Order) -> i64 {
    order.lines.iter().map(|line| grams(line) * line.quantity).sum()
}

fn grams(line: &Line) -> i64 {
    line.product.map_or(0, |product| product.grams.into())
}

fn line(order: &Order, priced: &Priced, place: usize) -> Value {
    let line = &order.lines[place];
    let id = order.id * 8 + place as i64;
    let name = line.product.map_or("Birthday card, handwritten", |product| product.name);
    let status = json!({
        "id": id,
        "admin_graphql_api_id": format!("gid://shopify/LineItem/{id}"),
        "quantity": line.quantity,
        "current_quantity": line.quantity,
        "fulfillable_quantity": line.quantity,
        "fulfillment_service": "manual",
        "fulfillment_status": null,
        "gift_card": false,
        "requires_shipping": true,
        "taxable": true,
    });
    let product = json!({
        "name": name,
        "title": name,
        "vendor": "Raw Sandbox",
        "sku": line.product.map(|product| product.sku),
        "product_id": line.product.map(|product| product.product_id),
        "variant_id": line.product.map(|product| product.variant_id()),
        "variant_title": null,
        "product_exists": line.product.is_some(),
        "grams": grams(line),
        "properties": properties(order, place),
    });
    let money = json!({
        "price": money(line.price),
        "price_set": priced.set(|cart, _| cart.lines[place].0),
        "total_discount": "0.00",
        "total_discount_set": priced.set(|_, _| 0),
        "discount_allocations": discount_allocations(order, priced, place),
        "tax_lines": priced.tax_lines(|_, totals| totals.line_taxes[place]),
        "duties": [],
    });
    merged([status, product, money])
}

/// A list as a rule; some apps leave an empty object behind.
fn properties(order: &Order, place: usize) -> Value {
    match (order.number + place as u64) % 40 {
        0 => json!({}),
        1..=8 => json!([{"name": "_dog", "value": order.dog}]),
        _ => json!([]),
    }
}

fn discount_allocations(order: &Order, priced: &Priced, place: usize) -> Value {
    if order.discount.is_none() {
        return json!([]);
    }
    json!([{
        "amount": money(priced.shop.1.line_discounts[place]),
        "amount_set": priced.set(|_, totals| totals.line_discounts[place]),
        "discount_application_index": 0,
    }])
}

fn discount_applications(order: &Order) -> Value {
    match &order.discount {
        None => json!([]),
        Some((code, pence)) => json!([{
            "type": "discount_code", "code": code, "title": code, "value": money(*pence),
            "value_type": "fixed_amount", "allocation_method": "across",
            "target_selection": "all", "target_type": "line_item",
        }]),
    }
}

fn discount_codes(order: &Order) -> Value {
    match &order.discount {
        None => json!([]),
        Some((code, pence)) => json!([{"code": code, "amount": money(*pence), "type": "fixed_amount"}]),
    }
}

fn delivery(order: &Order, priced: &Priced) -> Value {
    json!({
        "id": order.id * 8 + 7,
        "code": "DPD-NEXT-DAY",
        "title": "DPD Next Day (chilled)",
        "source": "shopify",
        "carrier_identifier": null,
        "phone": null,
        "is_removed": false,
        "price": money(order.shipping),
        "price_set": priced.set(|cart, _| cart.shipping),
        "discounted_price": money(order.shipping),
        "discounted_price_set": priced.set(|cart, _| cart.shipping),
        "discount_allocations": [],
        "tax_lines": priced.tax_lines(|_, totals| totals.shipping_tax),
    })
}

fn merged(parts: [Value; 3]) -> Value {
    let objects = parts.into_iter().filter_map(|part| match part {
        Value::Object(fields) => Some(fields),
        _ => None,
    });
    Value::Object(objects.flatten().collect())
}
