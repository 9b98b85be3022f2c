//! What a webhook of Seal must be before it is written down.
//!
//! The subscription stands flat at the top. Numbers come as text in places, and "none" is an empty text. What a subscription
//! needs is demanded with words that say where it is wrong; the rest is let through in any shape.

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use crate::orders::shopify_order::{Refusal, named};
use crate::orders::shopify_values::{Amount, Id, list};
use crate::written_time::is_moment;

/// A subscription that can be written down.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SealSubscription {
    /// Seal's id of it.
    pub id: Id,
    /// Where it stands.
    pub status: Status,
    /// Shopify's id of the customer.
    #[serde(default, deserialize_with = "blank")]
    pub customer_id: Option<Id>,
    /// The customer's address for mail.
    #[serde(default)]
    pub email: Option<String>,
    /// What one delivery costs.
    #[serde(default, deserialize_with = "blank")]
    pub total_value: Option<Amount>,
    /// Its order when it began.
    #[serde(default, deserialize_with = "blank")]
    pub order_id: Option<Id>,
    /// When it began.
    #[serde(default, deserialize_with = "blank")]
    pub order_placed: Option<Moment>,
    /// Since when it is paused.
    #[serde(default, deserialize_with = "blank")]
    pub paused_on: Option<Moment>,
    /// Since when it is cancelled.
    #[serde(default, deserialize_with = "blank")]
    pub cancelled_on: Option<Moment>,
    /// Month in which its card expires.
    #[serde(default, deserialize_with = "blank")]
    pub card_expiry_month: Option<Count>,
    /// Year in which its card expires, of two or four digits.
    #[serde(default, deserialize_with = "blank")]
    pub card_expiry_year: Option<Count>,
    /// Payments, some sixty days ahead.
    #[serde(default, deserialize_with = "list")]
    pub billing_attempts: Vec<BillingAttempt>,
    /// The payment that has failed, where the webhook is about one.
    #[serde(default, deserialize_with = "blank")]
    pub failed_billing_attempt: Option<BillingAttempt>,
    /// The payment that was taken, where the webhook is about one.
    #[serde(default, deserialize_with = "blank")]
    pub processed_billing_attempt: Option<BillingAttempt>,
    /// Who did what, oldest first.
    #[serde(default, deserialize_with = "list")]
    pub log: Vec<Entry>,
}

/// Where a subscription stands, in any case of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is billed.
    Active,
    /// It is not billed until it is resumed.
    Paused,
    /// It has ended by a decision.
    Cancelled,
    /// It has ended by itself.
    Expired,
}

/// One payment. The id and date stay the same over all tries.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BillingAttempt {
    /// Seal's id of it.
    pub id: Id,
    /// When it is due.
    #[serde(default, deserialize_with = "blank")]
    pub date: Option<Moment>,
    /// When it was last tried.
    #[serde(default, deserialize_with = "blank")]
    pub completed_at: Option<Moment>,
    /// How often it was tried.
    #[serde(default, deserialize_with = "blank")]
    pub number_of_tries: Option<Count>,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// When.
    #[serde(default, deserialize_with = "blank")]
    pub created: Option<Moment>,
}

/// A time with a zone, or without one in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment;

/// A small whole number, also when written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub u16);

impl SealSubscription {
    /// Reads the document of a webhook.
    ///
    /// # Errors
    /// [`Refusal`] names the first thing that is wrong and where it stands.
    pub fn parse(document: &Value) -> Result<Self, Refusal> {
        if !document.is_object() {
            return Err(Refusal("the payload is not a JSON object".into()));
        }
        if document.get("id").is_none() && document.get("subscription").is_some_and(Value::is_object) {
            return Err(Refusal("the subscription stands under `subscription`, and not at the top, where Seal writes it".into()));
        }
        let parsed: Self = serde_path_to_error::deserialize(document).map_err(|error| named(&error))?;
        if parsed.customer_id.is_none() && parsed.email.as_deref().is_none_or(|mail| mail.trim().is_empty()) {
            return Err(Refusal("customer_id and email are missing: nobody knows whose subscription it is".into()));
        }
        if parsed.card_expiry_month.is_some_and(|month| !(1..=12).contains(&month.0)) {
            return Err(Refusal("card_expiry_month: expected a month".into()));
        }
        Ok(parsed)
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        match String::deserialize(source)?.to_ascii_lowercase().as_str() {
            "active" => Ok(Self::Active),
            "paused" => Ok(Self::Paused),
            "cancelled" => Ok(Self::Cancelled),
            "expired" => Ok(Self::Expired),
            _ => Err(de::Error::custom("expected ACTIVE, PAUSED, CANCELLED or EXPIRED")),
        }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        is_moment(&text, &["%Y-%m-%d %H:%M:%S"])
            .then_some(Self)
            .ok_or_else(|| de::Error::custom("expected a time, such as \"2026-07-26 12:06:00\""))
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let number = match Value::deserialize(source)? {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_u64().and_then(|number| u16::try_from(number).ok()),
            _ => None,
        };
        number.map(Self).ok_or_else(|| de::Error::custom("expected a small whole number"))
    }
}

/// A value, or none where the text is empty.
fn blank<'de, D: Deserializer<'de>, T: de::DeserializeOwned>(source: D) -> Result<Option<T>, D::Error> {
    match Value::deserialize(source)? {
        Value::Null => Ok(None),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        value => T::deserialize(value).map(Some).map_err(de::Error::custom),
    }
}
