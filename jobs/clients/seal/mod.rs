//! Seal's merchant API: one subscription, and where it goes.
//!
//! Everything comes in an envelope of `success` and `payload`. Seal plans payments anew at each write, so nothing here is ever
//! sent twice by itself.

mod settings;

pub use settings::Settings;

use std::sync::Arc;

use engine::{Category, Run};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    OutsideError, Secret,
    http::{Answer, Call, CallError, Client, Method, Pace, Reached},
};
use crate::addresses::address::Address;

/// Its name, in messages.
pub const SYSTEM: &str = "Seal";
/// Its name, as its breaker is called.
pub const API: &str = "seal";
/// The header of the token.
const TOKEN: &str = "x-seal-token";
/// Calls a second.
const PER_SECOND: f64 = 2.0;

/// Calls Seal; a clone shares its connections and its pace.
#[derive(Clone)]
pub struct Seal {
    account: Option<Account>,
    pace: Arc<Pace>,
}

/// Where it is, and the key to it.
#[derive(Clone)]
struct Account {
    client: Client,
    token: Secret,
}

/// A subscription as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Seal's id.
    pub id: String,
    /// Where its parcels go.
    pub ships_to: Address,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    success: Value,
    #[serde(default)]
    payload: Value,
    #[serde(default)]
    error: Value,
}

impl Seal {
    /// A client with these settings; without a token nothing is called.
    ///
    /// # Errors
    /// An address that is none, or TLS that cannot be set up.
    pub fn new(settings: &Settings) -> Result<Self, OutsideError> {
        let target = settings.target()?;
        let account = match &settings.token {
            Some(token) => Some(Account { client: Client::new(target, [token.text().to_owned()])?, token: token.clone() }),
            None => None,
        };
        Ok(Self { account, pace: Arc::new(Pace::per_second(settings.per_second.unwrap_or(PER_SECOND))) })
    }

    /// One subscription.
    ///
    /// # Errors
    /// [`CallError`]; of category `validation` when there is none of this id.
    pub async fn subscription(&self, id: &str, run: &Run) -> Result<Subscription, CallError> {
        let account = self.account()?;
        let shown = self.send(account, account.call(Method::Get, run).query("id", id)).await?;
        // Some answers wrap it once more.
        let shown = shown.get("subscription").filter(|inner| inner.is_object()).unwrap_or(&shown);
        let text = |name: &str| shown[name].as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let is_the_one = shown["id"].as_str() == Some(id) || shown["id"].as_u64().is_some_and(|number| number.to_string() == id);
        if !is_the_one {
            return Err(CallError::new(SYSTEM, Reached::Answered(200), Category::Upstream, format!("its answer is not subscription {id}")));
        }
        let ships_to = Address {
            address1: text("s_address1"),
            address2: text("s_address2"),
            city: text("s_city"),
            province: text("s_province_code").or_else(|| text("s_province")),
            zip: text("s_zip"),
            country_code: text("s_country_code"),
        };
        Ok(Subscription { id: id.to_owned(), ships_to })
    }

    /// Has the parcels of a subscription go to this address; nothing else of it changes.
    ///
    /// # Errors
    /// [`CallError`]. Seal may have done it all the same, unless the error says that nothing was done.
    pub async fn ship_to(&self, id: &str, address: &Address, run: &Run) -> Result<(), CallError> {
        let account = self.account()?;
        let wrong = |error: serde_json::Error| account.client.error(Reached::Nothing, Category::Validation, error.to_string());
        let call = account.call(Method::Put, run).json(&edit(id, address)).map_err(wrong)?;
        self.send(account, call).await.map(drop)
    }

    fn account(&self) -> Result<&Account, CallError> {
        let words = "SEAL_API_TOKEN is not set, so nothing was asked";
        self.account.as_ref().ok_or_else(|| CallError::new(SYSTEM, Reached::Nothing, Category::Auth, words))
    }

    async fn send(&self, account: &Account, call: Call) -> Result<Value, CallError> {
        if let Err(wait) = self.pace.turn().await {
            let error = account.client.error(Reached::Nothing, Category::RateLimited, "it is asked to be left alone");
            return Err(CallError { retry_after: Some(wait), ..error });
        }
        let answer = account.client.send(&call).await.inspect_err(|error| {
            if let Some(wait) = error.retry_after {
                self.pace.hold(wait);
            }
        })?;
        open(&account.client, &answer)
    }
}

impl Account {
    fn call(&self, method: Method, run: &Run) -> Call {
        Call::new(method, ["subscription"]).key(TOKEN, self.token.text()).on_behalf_of(run)
    }
}

/// What lies in the envelope. One that cannot be read says nothing of what was done; one that says no was refused.
fn open(client: &Client, answer: &Answer) -> Result<Value, CallError> {
    let envelope: Envelope =
        answer.json().map_err(|error| client.error(Reached::Unknown, Category::Upstream, format!("its answer cannot be read: {error}")))?;
    if envelope.success == json!(true) {
        return Ok(envelope.payload);
    }
    let words = [&envelope.error, &envelope.payload].into_iter().find_map(Value::as_str).unwrap_or("no reason given");
    Err(client.error(Reached::Answered(answer.status), Category::Validation, format!("refused: {}", client.clean(words))))
}

/// The body that changes an address. Empty texts take away what the address before had.
fn edit(id: &str, address: &Address) -> Value {
    let mut body = Map::from_iter([
        ("id".into(), id.parse::<u64>().map_or_else(|_| json!(id), |number| json!(number))),
        ("action".into(), json!("edit")),
    ]);
    for (name, text) in [
        ("s_address1", &address.address1),
        ("s_address2", &address.address2),
        ("s_city", &address.city),
        ("s_zip", &address.zip),
        ("s_country_code", &address.country_code),
    ] {
        body.insert(name.into(), json!(text.as_deref().unwrap_or_default()));
    }
    if let Some(code) = address.province_code() {
        body.insert("s_province_code".into(), json!(code));
    }
    body.into()
}
