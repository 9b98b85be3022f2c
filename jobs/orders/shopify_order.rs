//! What a Shopify order document must be before it is written down.
//!
//! Shopify leaves much open: any field may be missing (a webhook can be subscribed to with few), customers and
//! addresses are null, `properties` is a list or an object, ids are beyond 2^53, money is text. What an order needs
//! is demanded here, with words that say where it is wrong; what it can do without is let through in any shape.
//! How the money is read is the database's rule, at the top of `0015_shopify_reading.sql`.

use std::collections::HashSet;

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Value;

use super::shopify_values::{Amount, Id, LARGEST_AMOUNT, Rate, Time, Units, list};

/// Longest message kept: a wrong value can be as long as the document.
const LONGEST_MESSAGE: usize = 300;

/// An order document that can be written down.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ShopifyOrder {
    /// Shopify's id of the order.
    pub id: Id,
    /// What people call it, such as `#1001`.
    #[serde(default)]
    pub name: Option<String>,
    /// The shop's currency, which every amount below is in.
    pub currency: String,
    /// The age of this document, by which late ones are known.
    #[serde(default)]
    pub updated_at: Option<Time>,
    /// When the order was made.
    #[serde(default)]
    pub created_at: Option<Time>,
    /// When it was placed, for imported orders earlier than `created_at`.
    #[serde(default)]
    pub processed_at: Option<Time>,
    /// When it was cancelled, if it was.
    #[serde(default)]
    pub cancelled_at: Option<Time>,
    /// Where the payment stands, in Shopify's words.
    #[serde(default)]
    pub financial_status: Option<String>,
    /// Whether prices include VAT.
    #[serde(default)]
    pub taxes_included: Option<bool>,
    /// Whether no money moves: such an order is kept and not shipped.
    #[serde(default)]
    pub test: Option<bool>,
    /// Everything the customer pays.
    pub total_price: Amount,
    /// The goods after discounts.
    pub subtotal_price: Amount,
    /// VAT of goods and shipping; absent when Shopify does not say.
    #[serde(default)]
    pub total_tax: Option<Amount>,
    /// All discounts.
    #[serde(default)]
    pub total_discounts: Option<Amount>,
    /// VAT by rate.
    #[serde(default, deserialize_with = "list")]
    pub tax_lines: Vec<TaxLine>,
    /// What sending it costs.
    #[serde(default, deserialize_with = "list")]
    pub shipping_lines: Vec<ShippingLine>,
    /// What was bought.
    pub line_items: Vec<LineItem>,
    /// Who bought it; null for a guest.
    #[serde(default)]
    pub customer: Option<Customer>,
    /// The address the order was placed with.
    #[serde(default)]
    pub email: Option<String>,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct LineItem {
    /// Shopify's id of the line, by which it is recognised when the order changes.
    pub id: Id,
    /// Units bought.
    pub quantity: Units,
    /// Units left after edits and refunds.
    #[serde(default)]
    pub current_quantity: Option<Units>,
    /// Units not sent yet.
    #[serde(default)]
    pub fulfillable_quantity: Option<Units>,
    /// List price of one unit.
    pub price: Amount,
    /// Discount of the line.
    #[serde(default)]
    pub total_discount: Option<Amount>,
    /// Discounts of the line and its share of the order's.
    #[serde(default, deserialize_with = "list")]
    pub discount_allocations: Vec<Discount>,
    /// VAT of the line.
    #[serde(default, deserialize_with = "list")]
    pub tax_lines: Vec<TaxLine>,
    /// The stock keeping unit; null for a custom item or a tip.
    #[serde(default)]
    pub sku: Option<String>,
}

/// One rate of tax.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct TaxLine {
    /// The tax.
    pub price: Amount,
    /// Its rate, 0.2 for 20 %.
    #[serde(default)]
    pub rate: Option<Rate>,
}

/// One way of sending.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ShippingLine {
    /// Its price before discounts.
    #[serde(default)]
    pub price: Option<Amount>,
    /// Its price after discounts.
    #[serde(default)]
    pub discounted_price: Option<Amount>,
    /// VAT of the shipping.
    #[serde(default, deserialize_with = "list")]
    pub tax_lines: Vec<TaxLine>,
}

/// A share of a discount.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Discount {
    /// The amount taken off.
    pub amount: Amount,
}

/// Who bought.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Customer {
    /// Shopify's id of the customer.
    #[serde(default)]
    pub id: Option<Id>,
    /// Their address.
    #[serde(default)]
    pub email: Option<String>,
    /// Consent to marketing, in the old field.
    #[serde(default)]
    pub accepts_marketing: Option<bool>,
}

/// Why a document is no order: one sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub(crate) String);

impl ShopifyOrder {
    /// Reads the document of a webhook with this topic.
    ///
    /// # Errors
    /// [`Refusal`] names the first thing that is wrong and where it stands.
    pub fn parse(topic: &str, document: &Value) -> Result<Self, Refusal> {
        if !topic.starts_with("orders/") {
            let topic: String = topic.chars().take(80).collect();
            return Err(Refusal(format!("a webhook of topic {} holds no order", topic.escape_debug())));
        }
        if !document.is_object() {
            return Err(Refusal("the payload is not a JSON object".into()));
        }
        let order: Self = serde_path_to_error::deserialize(document).map_err(|error| named(&error))?;
        order.check()?;
        Ok(order)
    }

    fn check(&self) -> Result<(), Refusal> {
        if self.updated_at.is_none() && self.created_at.is_none() {
            return Err(Refusal("updated_at and created_at are missing: the age of the document is unknown".into()));
        }
        if self.currency.len() != 3 || !self.currency.bytes().all(|letter| letter.is_ascii_alphabetic()) {
            return Err(Refusal("currency: expected three letters".into()));
        }
        if self.line_items.is_empty() {
            return Err(Refusal("line_items is empty: an order needs at least one line".into()));
        }
        let mut seen = HashSet::new();
        if let Some(line) = self.line_items.iter().find(|line| !seen.insert(line.id.0)) {
            return Err(Refusal(format!("line_items: the id {} stands there twice", line.id.0)));
        }
        self.check_sums()
    }

    /// Keeps every sum that the database makes within what its columns hold.
    fn check_sums(&self) -> Result<(), Refusal> {
        let lines: Decimal = self.line_items.iter().map(|line| line.price.0 * Decimal::from(line.quantity.0)).sum();
        let shipping: Decimal =
            self.shipping_lines.iter().flat_map(|line| [line.price, line.discounted_price]).flatten().map(|price| price.0).sum();
        for (field, sum) in [("line_items", lines), ("shipping_lines", shipping)] {
            if sum > Decimal::from(LARGEST_AMOUNT) {
                return Err(Refusal(format!("{field}: together they cost too much")));
            }
        }
        for (field, taxes) in [
            ("total_tax", self.total_tax.map_or(Decimal::ZERO, |tax| tax.0)),
            ("tax_lines", sum(&self.tax_lines)),
            ("line_items", self.line_items.iter().map(|line| sum(&line.tax_lines)).sum()),
            ("shipping_lines", self.shipping_lines.iter().map(|line| sum(&line.tax_lines)).sum()),
        ] {
            if taxes > self.total_price.0 {
                return Err(Refusal(format!("{field}: more tax than the order's total_price")));
            }
        }
        Ok(())
    }
}

fn sum(taxes: &[TaxLine]) -> Decimal {
    taxes.iter().map(|tax| tax.price.0).sum()
}

pub(crate) fn named(error: &serde_path_to_error::Error<serde_json::Error>) -> Refusal {
    let path = error.path().to_string();
    let mut message = match path.as_str() {
        "." => error.inner().to_string(),
        path => format!("{path}: {}", error.inner()),
    };
    if message.len() > LONGEST_MESSAGE {
        let end = (0..=LONGEST_MESSAGE).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(end);
        message.push('…');
    }
    Refusal(message)
}
