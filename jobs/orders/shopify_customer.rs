//! What a customer document of Shopify must be before it is written down.

use serde::Deserialize;
use serde_json::Value;

use super::shopify_order::Refusal;
use super::shopify_refund::object;
use super::shopify_values::{Id, Time};

/// A customer document. All but the id may be missing: a customer without a name, an address or an age is one.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ShopifyCustomer {
    /// Shopify's id of the customer.
    pub id: Id,
    /// The age of this document.
    #[serde(default)]
    pub updated_at: Option<Time>,
    /// Their address for mail.
    #[serde(default)]
    pub email: Option<String>,
    /// Their given name.
    #[serde(default)]
    pub first_name: Option<String>,
    /// Their family name.
    #[serde(default)]
    pub last_name: Option<String>,
    /// Consent to marketing, in the old field.
    #[serde(default)]
    pub accepts_marketing: Option<bool>,
}

impl ShopifyCustomer {
    /// Reads the document of a customer.
    ///
    /// # Errors
    /// [`Refusal`] names the first thing that is wrong and where it stands.
    pub fn parse(document: &Value) -> Result<Self, Refusal> {
        object(document)
    }
}
