//! Documents of webhooks, once they are known to be signed: orders and what follows them, subscriptions, scans.

use std::fmt::Display;

use jobs::{
    couriers::tracking_event::TrackingEvent,
    orders::{
        shopify_customer::ShopifyCustomer,
        shopify_order::ShopifyOrder,
        shopify_refund::{ShopifyFulfillment, ShopifyRefund},
        shopify_values::LARGEST_AMOUNT,
    },
    subscriptions::seal_subscription::SealSubscription,
};
use rust_decimal::Decimal;
use serde_json::Value;

use crate::{Seen, Target, Verdict, input::parts, judge_words, promise};

/// A topic and a document.
pub const SHOPIFY: Target = Target {
    name: "shopify_document",
    promise: "what is taken has ids, amounts and times that the database holds; what is not says why in one sentence",
    words: &[
        "\"id\":",
        "\"line_items\":",
        "\"quantity\":",
        "\"price\":",
        "\"tax_lines\":",
        "\"rate\":",
        "\"currency\":",
        "\"refund_line_items\":",
        "\"order_id\":",
        "null",
        "[]",
        "{}",
        "\"12.50\"",
        "\"1e3\"",
        "-1",
        "\"2026-03-29T01:00:00+01:00\"",
        "\"9999-12-31T23:59:60Z\"",
        "1e-28",
        "\"0.00\"",
        "orders/paid",
        "refunds/create",
        "fulfillments/create",
        "customers/update",
    ],
    check: shopify,
};

/// A document.
pub const SEAL: Target = Target {
    name: "seal_document",
    promise: "what is taken names its customer; what is not says why in one sentence",
    words: &["\"id\":", "\"status\":", "\"ACTIVE\"", "\"\"", "null", "\"customer_id\":", "\"2026-07-26 12:06:00\"", "\"log\":", "[]", "{}"],
    check: seal,
};

/// A document.
pub const SCAN: Target = Target {
    name: "scan",
    promise: "what is taken has a number and a time that the database reads; what is not says why in one sentence",
    words: &["\"tracking_no\":", "\"event_time\":", "\"2026-01-15 11:42:10\"", "\"2026-01-15T11:42:10+00:00\"", "\"event_code\":", "null"],
    check: scan,
};

fn refused(refusal: &impl Display) -> Verdict {
    let words = refusal.to_string();
    judge_words(&words)?;
    Ok(Seen::refused(&words))
}

fn shopify(input: &[u8]) -> Verdict {
    let [topic, document] = parts(input);
    let topic = String::from_utf8_lossy(topic);
    let Ok(document) = serde_json::from_slice::<Value>(document) else { return Ok(Seen::refused("no JSON")) };
    let kind = topic.split('/').next().unwrap_or_default();
    let read = match kind {
        "refunds" => ShopifyRefund::parse(&document).map(|refund| vec![refund.id, refund.order_id]),
        "fulfillments" => ShopifyFulfillment::parse(&document).map(|sent| vec![sent.id, sent.order_id]),
        "customers" => ShopifyCustomer::parse(&document).map(|customer| vec![customer.id]),
        _ => match ShopifyOrder::parse(&topic, &document) {
            Ok(order) => {
                judge_order(&order)?;
                Ok(order.line_items.iter().map(|line| line.id).chain([order.id]).collect())
            }
            Err(refusal) => Err(refusal),
        },
    };
    match read {
        Ok(ids) => {
            promise(ids.iter().all(|id| id.0 > 0), || format!("an id is not positive: {ids:?}"))?;
            Ok(Seen::taken(format_args!("{kind} of {}", ids.len().min(4))))
        }
        Err(refusal) => refused(&refusal),
    }
}

fn judge_order(order: &ShopifyOrder) -> Result<(), String> {
    promise(!order.line_items.is_empty(), || "an order without lines was taken".into())?;
    promise(order.line_items.iter().all(|line| line.quantity.0 >= 0), || "a line has less than no units".into())?;
    let most = Decimal::from(LARGEST_AMOUNT);
    let lines: Decimal = order.line_items.iter().map(|line| line.price.0 * Decimal::from(line.quantity.0)).sum();
    let fits = |amount: Decimal| amount >= Decimal::ZERO && amount <= most && amount.normalize().scale() <= 2;
    promise(fits(lines) && fits(order.total_price.0) && fits(order.subtotal_price.0), || "an amount is not what the columns hold".into())?;
    let taxes: Decimal = order.tax_lines.iter().map(|tax| tax.price.0).sum();
    promise(taxes <= order.total_price.0, || "more tax than money".into())
}

fn seal(input: &[u8]) -> Verdict {
    let Ok(document) = serde_json::from_slice::<Value>(input) else { return Ok(Seen::refused("no JSON")) };
    match SealSubscription::parse(&document) {
        Ok(read) => {
            let has_mail = read.email.as_deref().is_some_and(|mail| !mail.trim().is_empty());
            promise(read.customer_id.is_some() || has_mail, || "nobody knows whose subscription it is".into())?;
            promise(read.id.0 > 0, || format!("the id is {}", read.id.0))?;
            Ok(Seen::taken(format_args!("{:?} {}", read.status, read.billing_attempts.len().min(2))))
        }
        Err(refusal) => refused(&refusal),
    }
}

fn scan(input: &[u8]) -> Verdict {
    let Ok(document) = serde_json::from_slice::<Value>(input) else { return Ok(Seen::refused("no JSON")) };
    match TrackingEvent::parse(&document) {
        Ok(read) => {
            promise((1..=64).contains(&read.tracking_no.len()) && !read.tracking_no.trim().is_empty(), || "it has no number".into())?;
            judge_moment(document["event_time"].as_str().unwrap_or_default())?;
            Ok(Seen::taken(format_args!("{} {}", read.event_code.is_some(), read.carrier.is_some())))
        }
        Err(refusal) => refused(&refusal),
    }
}

/// A time that PostgreSQL reads as it was meant: a year of four digits of this century, and no zone farther than any is.
pub fn judge_moment(text: &str) -> Result<(), String> {
    let text = text.trim();
    let year = text.get(..4).filter(|year| year.bytes().all(|digit| digit.is_ascii_digit()));
    promise(year.is_some_and(|year| ("2000"..="2099").contains(&year)) && text.get(4..5) == Some("-"), || {
        format!("{text:?} is taken for a time, and its year is none of this century")
    })?;
    let has_date = text.get(4..10).is_some_and(|date| date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'));
    promise(has_date, || format!("{text:?} is taken for a time, and PostgreSQL may read its date in another order"))?;
    let offset = text.rfind(['+', '-']).filter(|at| *at > 10).and_then(|at| text.get(at + 1..at + 3)).and_then(|hours| hours.parse().ok());
    promise(offset.is_none_or(|hours: u32| hours < 16), || format!("{text:?} is taken for a time, and PostgreSQL knows no such zone"))
}
