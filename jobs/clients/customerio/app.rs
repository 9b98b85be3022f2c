//! Mails to one person: `POST /v1/send/email`.

use std::time::Duration;

use engine::{Category, Run};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    super::http::{CallError, Method, Reached},
    CustomerIo,
};

/// The header that says which row of the outbox a mail is. The reports of mails show it, when the reporting webhook is set
/// to include headers.
pub const MESSAGE_HEADER: &str = "X-Rawops-Message";

/// What their API takes of a mail.
const FIELDS: [&str; 19] = [
    "to",
    "identifiers",
    "transactional_message_id",
    "message_data",
    "body",
    "body_plain",
    "subject",
    "from",
    "preheader",
    "language",
    "reply_to",
    "cc",
    "bcc",
    "headers",
    "attachments",
    "send_to_unsubscribed",
    "tracked",
    "disable_message_retention",
    "queue_draft",
];
/// What a row of the outbox may hold beside the mail: whose it is, which once-key it uses up, and which scan or parcel it tells of.
const OURS: [&str; 5] = ["customer_id", "subscription_id", "billing_date", "courier_event_id", "shipment_id"];

/// A mail as their API takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Email {
    fields: Map<String, Value>,
}

/// What came of a mail that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Sent {
    /// Their id of the mail, which reports name.
    pub delivery_id: String,
}

impl Email {
    /// The mail that a row of the outbox describes.
    ///
    /// # Errors
    /// What is wrong with the description, in a sentence without personal data.
    pub fn of(payload: &Value) -> Result<Self, String> {
        let mut fields = payload.as_object().ok_or("the payload is no object")?.clone();
        fields.retain(|name, value| !OURS.contains(&name.as_str()) && !value.is_null());
        if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            let start: String = unknown.chars().take(40).collect();
            return Err(format!("the payload has a field {start:?}, which no mail has"));
        }
        let to = fields.get("to").and_then(Value::as_str).map(str::trim).unwrap_or_default().to_owned();
        if !is_one_address(&to) {
            return Err("the payload has no address in `to`, or more than one".into());
        }
        if let Some((name, _)) = fields.iter().find(|(name, value)| is_of_the_head(name) && holds_control(value)) {
            return Err(format!("`{name}` holds a line break or another control character, which could begin another header"));
        }
        let has_template = fields.contains_key("transactional_message_id");
        let has_text = ["body", "subject", "from"].iter().all(|name| fields.contains_key(*name));
        if !has_template && !has_text {
            return Err("the payload has neither `transactional_message_id` nor `body`, `subject` and `from`".into());
        }
        fields.insert("to".into(), to.as_str().into());
        fields.entry("identifiers").or_insert_with(|| json!({ "email": to }));
        Ok(Self { fields })
    }

    /// What is sent.
    pub const fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// Marks the mail as this row of the outbox.
    #[must_use]
    pub fn marked(mut self, message: Uuid) -> Self {
        let headers = self.fields.entry("headers").or_insert_with(|| json!({}));
        if let Some(headers) = headers.as_object_mut() {
            headers.insert(MESSAGE_HEADER.into(), message.to_string().into());
        }
        self
    }
}

/// Whether it is the address of one person; where commas divide, a second one would read what is meant for the first.
fn is_one_address(to: &str) -> bool {
    let sides = to.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    sides && !to.contains(|letter: char| letter.is_control() || letter.is_whitespace() || matches!(letter, ',' | ';' | '<' | '>'))
}

/// Whether a field stands in the head of the mail, where a line break begins another header.
fn is_of_the_head(name: &str) -> bool {
    !matches!(name, "message_data" | "body" | "body_plain" | "attachments" | "identifiers")
}

/// Whether a text of it, or a name of a field, holds a control character.
fn holds_control(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(char::is_control),
        Value::Array(values) => values.iter().any(holds_control),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains(char::is_control) || holds_control(value)),
        _ => false,
    }
}

impl CustomerIo {
    /// Waits until it is this process's turn to send a mail. To be asked before it is written down that one is sent: whoever
    /// stops while he waits has sent nothing.
    ///
    /// # Errors
    /// How long that would take, when it is too long to wait here.
    pub async fn mail_turn(&self) -> Result<(), Duration> {
        self.mails.turn().await
    }

    /// Sends a mail, once.
    ///
    /// # Errors
    /// [`CallError::did_nothing`] says whether it may be sent again; if not, it may have been taken.
    pub async fn send_email(&self, email: &Email, run: &Run) -> Result<Sent, CallError> {
        let key = self.key(self.settings.app_key.as_ref(), "CUSTOMERIO_APP_KEY")?;
        let call = self.call(Method::Post, ["send", "email"], run).bearer(key).json(&email.fields);
        let call = call.map_err(|error| self.app.error(Reached::Nothing, Category::Validation, error.to_string()))?;
        let answer = self.app.send(&call).await.inspect_err(|error| {
            if let Some(wait) = error.retry_after {
                self.mails.hold(wait);
            }
        })?;
        answer.json().map_err(|_| {
            let message =
                format!("answered {} without a delivery id: {}", answer.status, self.app.clean(&String::from_utf8_lossy(&answer.body)));
            self.app.error(Reached::Unknown, Category::Upstream, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_what_the_row_says_without_what_is_ours() {
        let row = json!({
            "to": "ann@example.com", "transactional_message_id": "order_dispatched", "message_data": { "order": "#1" },
            "customer_id": Uuid::nil(), "subscription_id": null, "billing_date": "2026-03-01", "reply_to": null,
        });
        let email = Email::of(&row).expect("a mail").marked(Uuid::nil());
        assert_eq!(
            Value::Object(email.fields),
            json!({
                "to": "ann@example.com", "identifiers": { "email": "ann@example.com" }, "transactional_message_id": "order_dispatched",
                "message_data": { "order": "#1" }, "headers": { "X-Rawops-Message": Uuid::nil() },
            })
        );
    }

    #[test]
    fn headers_and_identifiers_that_are_given_stay() {
        let row = json!({ "to": "a@b.de", "identifiers": { "id": "7" }, "body": "b", "subject": "s", "from": "f", "headers": { "In-Reply-To": "<x>" } });
        let email = Email::of(&row).expect("a mail").marked(Uuid::nil());
        assert_eq!(email.fields["identifiers"], json!({ "id": "7" }));
        assert_eq!(email.fields["headers"], json!({ "In-Reply-To": "<x>", "X-Rawops-Message": Uuid::nil() }));
    }

    #[test]
    fn what_is_no_mail_is_refused_without_naming_anybody() {
        for (row, why) in [
            (json!([]), "no object"),
            (json!({ "transactional_message_id": 1 }), "no address"),
            (json!({ "to": "ann", "transactional_message_id": 1 }), "no address"),
            (json!({ "to": "ann@example.com" }), "neither"),
            (json!({ "to": "ann@example.com", "body": "b", "subject": "s" }), "neither"),
            (json!({ "to": "ann@example.com", "template": 1 }), "\"template\""),
        ] {
            let refusal = Email::of(&row).expect_err("no mail");
            assert!(refusal.contains(why) && !refusal.contains("ann"), "{refusal}");
        }
    }
}
