//! A customer's default address: read, put in place, or added.

use engine::{Category, Run};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    super::http::{CallError, Reached},
    SYSTEM, Shopify,
};
use crate::addresses::address::Address;

const QUERY: &str = "query defaultAddress($customerId: ID!) {
  customer(id: $customerId) {
    defaultAddress { id address1 address2 city province zip countryCodeV2 }
  }
}";

const UPDATE: &str = "mutation customerAddressUpdate($customerId: ID!, $addressId: ID!, $address: MailingAddressInput!) {
  customerAddressUpdate(customerId: $customerId, addressId: $addressId, address: $address, setAsDefault: true) {
    address { id }
    userErrors { field message }
  }
}";

const CREATE: &str = "mutation customerAddressCreate($customerId: ID!, $address: MailingAddressInput!) {
  customerAddressCreate(customerId: $customerId, address: $address, setAsDefault: true) {
    address { id }
    userErrors { field message }
  }
}";

/// A default address, and what Shopify calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultAddress {
    /// Shopify's id of it.
    pub id: String,
    /// The address.
    pub address: Address,
}

/// What Shopify does not take of a change, and why.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct UserError {
    /// The path to what is wrong; none where all of it is.
    #[serde(default)]
    pub field: Option<Vec<String>>,
    /// Shopify's words.
    pub message: String,
}

#[derive(Deserialize)]
struct Found {
    customer: Option<Customer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Customer {
    default_address: Option<Shown>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: String,
    address1: Option<String>,
    address2: Option<String>,
    city: Option<String>,
    province: Option<String>,
    zip: Option<String>,
    #[serde(rename = "countryCodeV2")]
    country_code: Option<String>,
}

#[derive(Deserialize)]
struct Updated {
    #[serde(alias = "customerAddressUpdate", alias = "customerAddressCreate")]
    change: Changed,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Changed {
    #[serde(default)]
    user_errors: Vec<UserError>,
}

impl Shopify {
    /// The default address of a customer; none where the customer has none.
    ///
    /// # Errors
    /// [`CallError`]; of category `validation` when there is no such customer.
    pub async fn default_address(&self, customer_id: &str, run: &Run) -> Result<Option<DefaultAddress>, CallError> {
        let found: Found = self.ask(QUERY, &json!({ "customerId": gid(customer_id) }), run).await?;
        let gone = || CallError::new(SYSTEM, Reached::Answered(200), Category::Validation, format!("there is no customer {customer_id}"));
        let shown = found.customer.ok_or_else(gone)?.default_address;
        Ok(shown.map(|shown| DefaultAddress {
            id: shown.id,
            address: Address {
                address1: shown.address1,
                address2: shown.address2,
                city: shown.city,
                province: shown.province,
                zip: shown.zip,
                country_code: shown.country_code,
            },
        }))
    }

    /// Puts an address in the place of another and makes it the default. Shopify may have done it all the same, unless the error
    /// says that nothing was done.
    ///
    /// # Errors
    /// [`CallError`]; what Shopify calls `userErrors` is of category `validation`.
    pub async fn update_address(&self, customer_id: &str, address_id: &str, address: &Address, run: &Run) -> Result<(), CallError> {
        let variables = json!({ "customerId": gid(customer_id), "addressId": address_id, "address": input(address, [None, None]) });
        self.change(UPDATE, &variables, run).await
    }

    /// Adds an address and makes it the default. Shopify may have done it all the same, unless the error says that nothing was
    /// done.
    ///
    /// # Errors
    /// As [`update_address`](Self::update_address).
    pub async fn create_address(&self, customer_id: &str, address: &Address, names: [Option<&str>; 2], run: &Run) -> Result<(), CallError> {
        self.change(CREATE, &json!({ "customerId": gid(customer_id), "address": input(address, names) }), run).await
    }

    async fn change(&self, document: &str, variables: &Value, run: &Run) -> Result<(), CallError> {
        let Updated { change } = self.ask(document, variables, run).await?;
        if change.user_errors.is_empty() {
            return Ok(());
        }
        let words: Vec<String> = change.user_errors.iter().map(|error| self.clean(&error.to_string())).collect();
        Err(CallError::new(SYSTEM, Reached::Answered(200), Category::Validation, format!("refused: {}", words.join("; "))))
    }
}

impl std::fmt::Display for UserError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.field {
            Some(field) if !field.is_empty() => write!(f, "{}: {}", field.join("."), self.message),
            _ => f.write_str(&self.message),
        }
    }
}

fn gid(customer_id: &str) -> String {
    format!("gid://shopify/Customer/{customer_id}")
}

/// The address as a change takes it; what is left out stays as it was, so what there is none of is said.
fn input(address: &Address, names: [Option<&str>; 2]) -> Value {
    let mut input = Map::new();
    let text = |text: &Option<String>| json!(text.as_deref().unwrap_or_default());
    for (name, value) in [("address1", &address.address1), ("address2", &address.address2), ("city", &address.city), ("zip", &address.zip)]
    {
        input.insert(name.into(), text(value));
    }
    let known = [
        ("provinceCode", address.province_code()),
        ("countryCode", address.country_code.clone()),
        ("firstName", names[0].map(Into::into)),
        ("lastName", names[1].map(Into::into)),
    ];
    input.extend(known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))));
    input.into()
}
