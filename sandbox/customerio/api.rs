//! What the two APIs answer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use serde_json::{Value, json};

use super::ledger::{Event, Message};
use super::{Account, EVENT_NAME_LIMIT};
use crate::front::{Answer, Asked, Faults, System};

impl System for Account {
    fn answer(&self, asked: &Asked) -> Answer {
        if let Some(other) = &self.options.lives_at {
            return Answer::new(307, "").header("location", format!("{other}{}", asked.path));
        }
        let path = asked.path.split('?').next().unwrap_or_default();
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (asked.method.as_str(), &segments[..]) {
            ("POST", ["v1", "send", "email"]) => self.send_email(asked),
            ("POST", ["api", "v1", "customers", customer, "events"]) => self.track(asked, customer),
            ("PUT", ["api", "v1", "customers", customer]) => self.identify(asked, customer),
            _ => Answer::new(404, json!({ "meta": { "error": "not found" } }).to_string()),
        }
    }

    fn refusal(&self, status: u16) -> Answer {
        let words = match status {
            401 => "unauthorized",
            403 => "not authorized for transactional",
            429 => "too many requests",
            500.. => return Answer::new(status, "<html><body>upstream error</body></html>").header("content-type", "text/html"),
            _ => "refused",
        };
        Answer::new(status, json!({ "meta": { "error": words } }).to_string()).header("content-type", "application/json")
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }
}

impl Account {
    fn send_email(&self, asked: &Asked) -> Answer {
        if asked.header("authorization") != Some(&format!("Bearer {}", self.options.app_key)) {
            return self.refusal(401);
        }
        if let Err(wait) = self.limit.take() {
            self.ledger.count_refused();
            return self.refusal(429).header("retry-after", format!("{}", wait.as_secs().max(1)));
        }
        let mail: Value = match serde_json::from_slice(&asked.body) {
            Ok(mail) => mail,
            Err(error) => return wrong(&format!("malformed JSON: {error}")),
        };
        if let Some(fault) = fault_of(&mail) {
            return wrong(fault);
        }
        let message = self.ledger.keep_message(|delivery_id| Message {
            delivery_id,
            to: mail["to"].as_str().unwrap_or_default().into(),
            identifiers: mail["identifiers"].clone(),
            template: mail["transactional_message_id"].clone(),
            headers: serde_json::from_value(mail["headers"].clone()).unwrap_or_default(),
            at: Utc::now(),
        });
        let body = json!({ "delivery_id": message.delivery_id, "queued_at": message.at.timestamp() }).to_string();
        if let Some(reporter) = &self.reporter {
            reporter.tell(message);
        }
        Answer::new(200, body).header("content-type", "application/json")
    }

    fn track(&self, asked: &Asked, customer: &str) -> Answer {
        if !self.may_track(asked) {
            return self.refusal(401);
        }
        let event: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        let name = event["name"].as_str().unwrap_or_default();
        if name.is_empty() || name.len() > EVENT_NAME_LIMIT {
            return Answer::new(400, json!({ "meta": { "errors": ["event name is invalid"] } }).to_string());
        }
        self.ledger.keep_event(Event {
            id: event["id"].as_str().unwrap_or_default().into(),
            name: name.into(),
            customer: decoded(customer),
            data: event["data"].clone(),
            told: 1,
        });
        taken()
    }

    fn identify(&self, asked: &Asked, _customer: &str) -> Answer {
        if self.may_track(asked) { taken() } else { self.refusal(401) }
    }

    fn may_track(&self, asked: &Asked) -> bool {
        let expected = STANDARD.encode(format!("{}:{}", self.options.site_id, self.options.track_key));
        asked.header("authorization") == Some(&format!("Basic {expected}"))
    }
}

/// The Track API's success: an object and a line's end.
fn taken() -> Answer {
    Answer::new(200, "{}\n").header("content-type", "application/json; charset=utf-8")
}

fn wrong(words: &str) -> Answer {
    Answer::new(400, json!({ "meta": { "error": words } }).to_string()).header("content-type", "application/json")
}

fn fault_of(mail: &Value) -> Option<&'static str> {
    if mail["to"].as_str().is_none_or(|to| !to.contains('@')) {
        return Some("'to' is required");
    }
    let identifies = |name| mail["identifiers"][name].as_str().is_some_and(|value| !value.is_empty());
    if !["id", "email", "cio_id"].into_iter().any(identifies) {
        return Some("'identifiers' is required");
    }
    let has_text = ["body", "subject", "from"].into_iter().all(|name| mail[name].is_string());
    let template = &mail["transactional_message_id"];
    (!has_text && !template.is_string() && !template.is_number())
        .then_some("'transactional_message_id' or body, subject and from are required")
}

/// A segment of a path, its `%` escapes undone.
fn decoded(segment: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = segment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = escaped.and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
