//! What a refund and a fulfilment of Shopify must be before they are written down.
//!
//! As for orders: what is needed is demanded with words that say where it is wrong, the rest is let through in any shape.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::shopify_order::{Refusal, named};
use super::shopify_values::{Amount, Id, Time, Units, list};

/// A refund document.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ShopifyRefund {
    /// Shopify's id of the refund.
    pub id: Id,
    /// The order it belongs to.
    pub order_id: Id,
    /// When it was made.
    #[serde(default)]
    pub created_at: Option<Time>,
    /// When it was made, for imported ones earlier than `created_at`.
    #[serde(default)]
    pub processed_at: Option<Time>,
    /// What is taken back.
    #[serde(default, deserialize_with = "list")]
    pub refund_line_items: Vec<RefundLine>,
    /// The money.
    #[serde(default, deserialize_with = "list")]
    pub transactions: Vec<Transaction>,
}

/// Units of one line that are taken back.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RefundLine {
    /// The order's line.
    pub line_item_id: Id,
    /// How many units.
    pub quantity: Units,
    /// The line as it was sold.
    #[serde(default)]
    pub line_item: Option<SoldLine>,
}

/// A line as it was sold.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SoldLine {
    /// Units sold.
    #[serde(default)]
    pub quantity: Option<Units>,
}

/// Money that moved, or was to move.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Transaction {
    /// How much.
    pub amount: Amount,
}

/// A fulfilment document: a parcel, or part of one.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ShopifyFulfillment {
    /// Shopify's id of the fulfilment.
    pub id: Id,
    /// The order it belongs to.
    pub order_id: Id,
    /// The age of this document.
    #[serde(default)]
    pub updated_at: Option<Time>,
    /// When the fulfilment was made.
    #[serde(default)]
    pub created_at: Option<Time>,
    /// What is in it.
    #[serde(default, deserialize_with = "list")]
    pub line_items: Vec<SentLine>,
}

/// Units of one line that are in a fulfilment.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SentLine {
    /// The order's line.
    pub id: Id,
    /// How many units.
    pub quantity: Units,
}

impl ShopifyRefund {
    /// Reads the document of a refund.
    ///
    /// # Errors
    /// [`Refusal`] names the first thing that is wrong and where it stands.
    pub fn parse(document: &Value) -> Result<Self, Refusal> {
        object(document)
    }
}

impl ShopifyFulfillment {
    /// Reads the document of a fulfilment.
    ///
    /// # Errors
    /// [`Refusal`] names the first thing that is wrong and where it stands.
    pub fn parse(document: &Value) -> Result<Self, Refusal> {
        object(document)
    }
}

pub(super) fn object<T: DeserializeOwned>(document: &Value) -> Result<T, Refusal> {
    if !document.is_object() {
        return Err(Refusal("the payload is not a JSON object".into()));
    }
    serde_path_to_error::deserialize(document).map_err(|error| named(&error))
}
