//! What people did: `POST /api/v1/customers/{identifier}/events`.

use chrono::{DateTime, Utc};
use engine::{Category, Run};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use ulid::Ulid;

use super::{
    super::http::{CallError, Method, Reached},
    CustomerIo,
};

/// The longest name of an event, in bytes.
const NAME_LIMIT: usize = 100;
/// The most data of an event, in bytes.
const DATA_LIMIT: usize = 100_000;
/// Data by these names would change who a campaign's mail goes to.
const RESERVED: [&str; 3] = ["from_address", "recipient", "reply_to"];

/// Something that a person did, or that happened to them.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// What makes it this event and no other.
    pub key: &'a str,
    /// Its name, from which campaigns start.
    pub name: &'a str,
    /// Whose it is: the address.
    pub customer: &'a str,
    /// When it happened. Of events older than 72 hours no campaign starts.
    pub at: DateTime<Utc>,
    /// What the campaign shows.
    pub data: &'a Value,
}

/// The id of the event of this key: the same each time, so that they drop repetitions.
pub fn event_id(key: &str) -> String {
    let digest = Sha256::digest(key.as_bytes());
    let half = digest.iter().take(16).fold(0, |number: u128, byte| (number << 8) | u128::from(*byte));
    Ulid::from(half).to_string()
}

impl Event<'_> {
    fn body(&self) -> Result<Value, String> {
        let mut data: Map<String, Value> = match self.data {
            Value::Object(data) => data.clone(),
            Value::Null => Map::new(),
            _ => return Err("the data of the event is no object".into()),
        };
        data.retain(|name, _| !RESERVED.contains(&name.as_str()));
        if self.name.is_empty() || self.name.len() > NAME_LIMIT {
            return Err(format!("the name of the event has {} bytes, and may have 1 to {NAME_LIMIT}", self.name.len()));
        }
        let data = Value::Object(data);
        let size = data.to_string().len();
        if size > DATA_LIMIT {
            return Err(format!("the data of the event has {size} bytes, and may have {DATA_LIMIT}"));
        }
        Ok(json!({ "name": self.name, "id": event_id(self.key), "timestamp": self.at.timestamp(), "data": data }))
    }
}

impl CustomerIo {
    /// Tells of an event. It may be told again.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn track(&self, event: &Event<'_>, run: &Run) -> Result<(), CallError> {
        let site = self.key(self.settings.site_id.as_ref(), "CUSTOMERIO_SITE_ID")?;
        let key = self.key(self.settings.track_key.as_ref(), "CUSTOMERIO_TRACK_KEY")?;
        let wrong = |words: String| self.track.error(Reached::Nothing, Category::Validation, words);
        if event.customer.trim().is_empty() {
            return Err(wrong("the event is nobody's: it has no address".into()));
        }
        let call = self
            .call(Method::Post, ["api", "v1", "customers", event.customer.trim(), "events"], run)
            .basic(site, key)
            .json(&event.body().map_err(wrong)?)
            .map_err(|error| wrong(error.to_string()))?;
        // The answer of success is `{}`, or nothing at all.
        self.track.send(&call).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_an_event_is_a_ulid_that_follows_from_its_key() {
        let id = event_id("transition_guide:1");
        assert_eq!(id, event_id("transition_guide:1"));
        assert_ne!(id, event_id("transition_guide:2"));
        assert_eq!(id.len(), 26);
        assert!(id.starts_with(|first: char| ('0'..='7').contains(&first)), "128 bits fit: {id}");
        assert!(id.chars().all(|letter| letter.is_ascii_digit() || (letter.is_ascii_uppercase() && !"ILOU".contains(letter))), "{id}");
    }

    #[test]
    fn data_cannot_change_who_is_written_to() {
        let data = json!({ "first_name": "Ann", "recipient": "eve@example.com", "reply_to": "x", "from_address": "y" });
        let event = Event { key: "k", name: "order_placed", customer: "a@b.de", at: DateTime::UNIX_EPOCH, data: &data };
        let body = event.body().expect("an event");
        assert_eq!(body, json!({ "name": "order_placed", "id": event_id("k"), "timestamp": 0, "data": { "first_name": "Ann" } }));
    }

    #[test]
    fn what_they_would_refuse_is_not_sent() {
        let body =
            |name: &str, data: Value| Event { key: "k", name, customer: "a@b.de", at: DateTime::UNIX_EPOCH, data: &data }.body().map(drop);
        assert_eq!(body("x", Value::Null), Ok(()));
        assert!(body("", json!({})).is_err());
        assert!(body(&"é".repeat(51), json!({})).is_err());
        assert!(body("x", json!([1])).is_err());
        assert!(body("x", json!({ "a": "x".repeat(100_000) })).is_err());
    }
}
