//! An order as the REST document that webhooks carry.

mod lines;
mod people;

use serde_json::{Map, Value, json};

use super::clock::in_london;
use super::money::{Cart, Totals};
use super::order::Order;
use super::story::Version;

/// The bytes of the webhook.
pub fn render(order: &Order, version: &Version) -> Vec<u8> {
    let mut document = Map::new();
    for part in [
        identity(order, version),
        state(order, version),
        origin(order),
        amounts(order, version),
        people::parties(order, version),
        lines::lists(order),
    ] {
        let Value::Object(part) = part else {
            unreachable!("every part is an object");
        };
        document.extend(part);
    }
    Value::Object(document).to_string().into_bytes()
}

/// One amount of a cart.
type Amount = fn(&Cart, &Totals) -> i64;

/// Both carts of an order: in pounds, and as the buyer saw it.
struct Priced {
    shop: (Cart, Totals),
    presentment: (Cart, Totals),
    currency: &'static str,
}

impl Priced {
    fn of(order: &Order) -> Self {
        let shop = order.cart();
        let (presentment, currency) = match order.presentment {
            Some(rate_percent) => (shop.converted(rate_percent), "EUR"),
            None => (shop.clone(), "GBP"),
        };
        Self { shop: (shop.clone(), shop.totals()), presentment: (presentment.clone(), presentment.totals()), currency }
    }

    /// One amount of both carts, as Shopify's `…_set`.
    fn set(&self, amount: impl Fn(&Cart, &Totals) -> i64) -> Value {
        let of = |(cart, totals): &(Cart, Totals)| money(amount(cart, totals));
        json!({
            "shop_money": {"amount": of(&self.shop), "currency_code": "GBP"},
            "presentment_money": {"amount": of(&self.presentment), "currency_code": self.currency},
        })
    }

    /// VAT inside an amount, as Shopify's list of tax lines.
    fn tax_lines(&self, amount: impl Fn(&Cart, &Totals) -> i64) -> Value {
        let price = money(amount(&self.shop.0, &self.shop.1));
        json!([{
            "title": "GB VAT", "rate": 0.2, "price": price, "price_set": self.set(amount),
            "channel_liable": false,
        }])
    }
}

/// Pence as the decimal text that Shopify writes.
fn money(pence: i64) -> String {
    format!("{}.{:02}", pence / 100, pence % 100)
}

fn identity(order: &Order, version: &Version) -> Value {
    let created_at = in_london(order.created_at).to_rfc3339();
    json!({
        "id": order.id,
        "admin_graphql_api_id": format!("gid://shopify/Order/{}", order.id),
        "name": format!("#{}", order.number),
        "number": order.number - 1_000,
        "order_number": order.number,
        "confirmation_number": format!("R{:08X}", order.id & 0xffff_ffff),
        "token": format!("{:032x}", order.id),
        "created_at": created_at,
        "processed_at": created_at,
        "updated_at": in_london(version.updated_at).to_rfc3339(),
    })
}

fn state(order: &Order, version: &Version) -> Value {
    let cancelled_at = version.cancelled.map(|(at, _)| in_london(at).to_rfc3339());
    json!({
        "confirmed": true,
        "test": order.is_test,
        "financial_status": version.financial_status,
        "fulfillment_status": null,
        "cancelled_at": cancelled_at,
        "cancel_reason": version.cancelled.map(|(_, reason)| reason),
        "closed_at": null,
        "note": version.note,
        "refunds": [],
        "fulfillments": [],
        "payment_terms": null,
        "payment_gateway_names": [if order.is_test { "bogus" } else { "shopify_payments" }],
    })
}

fn origin(order: &Order) -> Value {
    let (source_name, tags) = match order.subscription {
        None => ("web", String::new()),
        Some(found) if found.is_first => ("web", "Subscription, Subscription First Order".into()),
        Some(found) => {
            ("subscription_contract_checkout_one", format!("Subscription, Subscription Recurring Order, every-{}-weeks", found.weeks))
        }
    };
    json!({
        "app_id": 580_111,
        "source_name": source_name,
        "source_identifier": null,
        "tags": tags,
        "note_attributes": note_attributes(order),
        "landing_site": "/collections/all?utm_source=newsletter&utm_medium=email",
        "referring_site": null,
        "location_id": null,
        "user_id": null,
        "po_number": null,
        "customer_locale": "en-GB",
        "browser_ip": null,
    })
}

fn note_attributes(order: &Order) -> Value {
    let mut attributes = Vec::new();
    if let Some(subscription) = order.subscription {
        let plan = json!({
            "dog": {"name": order.dog, "kg": 4 + order.number % 41, "neutered": order.number.is_multiple_of(2)},
            "plan": {"weeks": subscription.weeks, "grams_per_day": 120 + order.number % 900},
        });
        attributes.push(json!({"name": "calculator", "value": plan.to_string()}));
        let seal_id = subscription.seal_id.to_string();
        attributes.push(json!({"name": "_seal_subscription_id", "value": seal_id}));
    }
    Value::Array(attributes)
}

fn amounts(order: &Order, version: &Version) -> Value {
    let priced = Priced::of(order);
    let cancelled = version.cancelled.is_some();
    let outstanding = matches!(version.financial_status, "pending");
    let mut amounts = json!({
        "currency": "GBP",
        "presentment_currency": priced.currency,
        "taxes_included": true,
        "tax_exempt": false,
        "estimated_taxes": false,
        "duties_included": false,
        "tax_lines": priced.tax_lines(|_, totals| totals.tax),
        "total_outstanding": money(if outstanding { priced.shop.1.total } else { 0 }),
        "total_tip_received": "0.00",
        "total_weight": lines::weight(order),
        "total_shipping_price_set": priced.set(|cart, _| cart.shipping),
    });
    let fields: [(&str, Amount); 5] = [
        ("total_line_items_price", |_, totals| totals.items),
        ("total_discounts", |cart, _| cart.discount),
        ("subtotal_price", |_, totals| totals.subtotal),
        ("total_tax", |_, totals| totals.tax),
        ("total_price", |_, totals| totals.total),
    ];
    for (field, amount) in fields {
        amounts[field] = money(amount(&priced.shop.0, &priced.shop.1)).into();
        amounts[format!("{field}_set")] = priced.set(amount);
        if field != "total_line_items_price" {
            // What is left of the order: nothing, once it is cancelled.
            let now: Amount = if cancelled { |_, _| 0 } else { amount };
            amounts[format!("current_{field}")] = money(now(&priced.shop.0, &priced.shop.1)).into();
            amounts[format!("current_{field}_set")] = priced.set(now);
        }
    }
    amounts
}
