//! Shopify's Admin API: which orders changed and a customer's default address, by GraphQL; one whole order as webhooks carry it,
//! by REST.
//!
//! GraphQL costs points out of a bucket that fills steadily; each answer says how full it is. A call waits until its cost is
//! there, so that nothing is refused as long as nobody else empties the bucket.

mod budget;
mod customers;
mod graphql;
mod orders;
mod settings;

pub use customers::{DefaultAddress, UserError};
pub use orders::{Changed, Page};
pub use settings::Settings;

use std::sync::Arc;

use budget::Budget;
use engine::Category;

use super::{
    OutsideError, Secret,
    http::{CallError, Client, Pace, Reached},
};

/// Its name, in messages.
const SYSTEM: &str = "Shopify";
/// Its name, as its breaker is called.
pub const ADMIN: &str = "shopify";
/// The header of the token.
const TOKEN: &str = "x-shopify-access-token";
/// Calls of the REST API a second.
const REST_PER_SECOND: f64 = 2.0;

/// Calls Shopify; a clone shares its connections and its budget.
#[derive(Clone)]
pub struct Shopify {
    account: Option<Account>,
    budget: Arc<Budget>,
    rest: Arc<Pace>,
}

/// Where it is, and the key to it.
#[derive(Clone)]
struct Account {
    client: Client,
    token: Secret,
    shop: String,
    version: String,
}

impl Shopify {
    /// A client with these settings; without a token nothing is called.
    ///
    /// # Errors
    /// An address that is none, or TLS that cannot be set up.
    pub fn new(settings: &Settings) -> Result<Self, OutsideError> {
        let account = match (settings.target()?, &settings.token) {
            (Some(target), Some(token)) => Some(Account {
                client: Client::new(target, [token.text().to_owned()])?,
                token: token.clone(),
                shop: settings.shop.clone().unwrap_or_default(),
                version: settings.version().to_owned(),
            }),
            _ => None,
        };
        let rest = Pace::per_second(settings.rest_per_second.unwrap_or(REST_PER_SECOND));
        Ok(Self { account, budget: Arc::default(), rest: Arc::new(rest) })
    }

    /// The shop that is called; none without a token.
    pub fn shop(&self) -> Option<&str> {
        self.account.as_ref().map(|account| account.shop.as_str())
    }

    /// A text of Shopify's that is fit for a log.
    fn clean(&self, text: &str) -> String {
        self.account.as_ref().map_or_else(String::new, |account| account.client.clean(text))
    }

    fn account(&self) -> Result<&Account, CallError> {
        let words = "SHOPIFY_ADMIN_TOKEN is not set, so nothing was asked";
        self.account.as_ref().ok_or_else(|| CallError::new(SYSTEM, Reached::Nothing, Category::Auth, words))
    }
}
