//! The webhooks of the last days, as they came in.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::book::{Book, order_label, seal_id, shopify_customer, shopify_order};
use super::dogs;
use super::life::Subscription;
use super::orders::financial_status;
use super::sale::Sale;
use super::sheet::{Bytes, row};
use crate::shopify::document::render;
use crate::shopify::order::{self, Buyer, Order};
use crate::shopify::people::Person;
use crate::shopify::story::Version;

/// Days that webhooks are kept.
const KEPT: i64 = 2;
/// The shop that its webhooks say they are of.
pub const SHOP: &str = "raw-company.myshopify.com";

impl Book<'_> {
    /// The webhooks of an order: its creation, and what ended it.
    pub fn webhooks(&mut self, sale: &Sale<'_>, person: &Person) {
        if !self.is_recent(sale.placed.at, KEPT) {
            return;
        }
        let order = shop_order(sale, person);
        let placed = sale.placed.at;
        let first = Version {
            updated_at: placed,
            financial_status: if sale.paid().is_some() { "paid" } else { "pending" },
            cancelled: None,
            note: None,
            moved_to: None,
            topics: vec!["orders/create"],
        };
        self.webhook(sale, 0, "orders/create", render(&order, &first), placed);
        if let Some(at) = sale.cancelled {
            let last = Version { updated_at: at, financial_status: financial_status(sale), cancelled: Some((at, "customer")), ..first };
            self.webhook(sale, 1, "orders/cancelled", render(&order, &last), at);
        }
    }

    fn webhook(&mut self, sale: &Sale<'_>, place: u64, topic: &str, body: Vec<u8>, at: DateTime<Utc>) {
        let number = sale.placed.number;
        let place = number * 2 + place;
        let took = 9 + i64::from(place as u32 % 40);
        let (webhook, event) = (self.id("webhook_inbox.webhook", place), self.id("webhook_inbox.event", place));
        let received = self.until.min(at + Duration::seconds(1));
        let payload: Value = serde_json::from_slice(&body).expect("a document is JSON");
        row!(self.sheets, "webhook_inbox", {
            id: self.id("webhook_inbox", place),
            received_at: received,
            topic: topic,
            shopify_order_id: shopify_order(number),
            shopify_order_number: order_label(number).to_string(),
            raw_headers: json!({
                "content-type": "application/json",
                "x-shopify-topic": topic,
                "x-shopify-shop-domain": SHOP,
                "x-shopify-webhook-id": webhook,
                "x-shopify-event-id": event,
                "x-shopify-triggered-at": at.to_rfc3339(),
            }),
            raw_payload: payload,
            hmac_verified: true,
            processing_status: "success",
            processed_at: received,
            processing_time_ms: took,
            processing_attempts: 1,
            created_at: received,
            updated_at: received,
            processing_duration_ms: took,
            source: "shopify",
            shop: SHOP,
            webhook_id: webhook.to_string(),
            event_id: event.to_string(),
            triggered_at: at,
            body_sha256: Bytes(Sha256::digest(&body).to_vec()),
            raw_body: Bytes(body),
        });
    }

    /// The webhook of a change of a subscription.
    pub fn seal_webhook(&mut self, held: &Subscription, place: u32, kind: &str, status: &str, at: DateTime<Utc>) {
        if !self.is_recent(at, KEPT) {
            return;
        }
        let person = self.person(held.customer);
        let topic = match kind {
            "billing_attempt.success" => "billing_attempt/succeeded".to_string(),
            "billing_attempt.skipped" => "subscription/updated".to_string(),
            other => other.replace('.', "/"),
        };
        let payload = json!({
            "id": seal_id(held.number),
            "customer_id": shopify_customer(held.customer).to_string(),
            "email": person.email,
            "status": status.to_uppercase(),
            "currency": "GBP",
            "first_name": person.first,
            "last_name": person.last,
            "s_address1": person.address.line1,
            "s_city": person.address.city,
            "s_zip": person.address.zip,
            "delivery_interval": format!("{} week", held.weeks),
            "billing_interval": format!("{} week", held.weeks),
            "cancelled_on": if status == "cancelled" { at.to_rfc3339() } else { String::new() },
            "log": [],
        });
        let body = payload.to_string().into_bytes();
        let key = hex(&Sha256::digest([topic.as_bytes(), &body].concat()));
        let received = self.until.min(at + Duration::seconds(1));
        row!(self.sheets, "seal_webhook_inbox", {
            id: self.id("seal_webhook_inbox", (held.number << 14) | u64::from(place)),
            webhook_topic: topic,
            seal_subscription_id: seal_id(held.number).to_string(),
            payload: payload,
            headers: json!({"content-type": "application/json", "x-seal-topic": topic}),
            hmac_valid: true,
            processing_status: "success",
            processing_attempts: 1,
            processed_at: received,
            processing_duration_ms: 14,
            idempotency_key: key,
            received_at: received,
            created_at: received,
            raw_body: Bytes(body),
        });
    }
}

/// The order as the sandbox shop holds it, of which its document is made.
fn shop_order(sale: &Sale<'_>, person: &Person) -> Order {
    let placed = sale.placed;
    Order {
        id: shopify_order(placed.number),
        number: order_label(placed.number),
        created_at: placed.at,
        buyer: Buyer { person: person.clone(), customer_id: Some(shopify_customer(placed.customer)), email: person.email.clone() },
        lines: placed.lines.clone(),
        discount: placed.discount.map(|(code, pence)| (code.into(), pence)),
        shipping: sale.shipping,
        subscription: placed.subscription.map(|billed| order::Subscription {
            weeks: billed.weeks,
            is_first: billed.cycle == 0,
            seal_id: seal_id(billed.number),
        }),
        presentment: None,
        is_test: false,
        dog: dogs::name(placed.customer),
        is_collected: false,
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}
