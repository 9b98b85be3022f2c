//! What an account was sent.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::Value;

use crate::chance;

/// A mail that was taken.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its id, which the sender was told.
    pub delivery_id: String,
    /// The address.
    pub to: String,
    /// Whose it is.
    pub identifiers: Value,
    /// The template; null without one.
    pub template: Value,
    /// Its own headers.
    pub headers: BTreeMap<String, String>,
    /// When it was taken.
    pub at: DateTime<Utc>,
}

impl Message {
    /// A header of the mail, whatever its letters' case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// An event that was taken.
#[derive(Debug, Clone)]
pub struct Event {
    /// The id by which repetitions are dropped.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whose it is, decoded.
    pub customer: String,
    /// Its data.
    pub data: Value,
    /// How often it was told.
    pub told: u64,
}

/// All of it.
pub(super) struct Ledger {
    kept: Mutex<Kept>,
    refused: AtomicU64,
}

struct Kept {
    messages: Vec<Message>,
    events: BTreeMap<String, Event>,
    random: StdRng,
}

impl Ledger {
    pub fn new(seed: u64) -> Self {
        let random = chance::stream(seed, 1, u8::MAX);
        Self { kept: Mutex::new(Kept { messages: Vec::new(), events: BTreeMap::new(), random }), refused: AtomicU64::new(0) }
    }

    /// Keeps a mail, under an id of its own.
    pub fn keep_message(&self, of: impl FnOnce(String) -> Message) -> Message {
        let mut kept = self.kept.lock().expect("no holder of this lock panics");
        let delivery_id = format!("RPI{:016x}{:08x}", kept.random.random::<u64>(), kept.messages.len());
        let message = of(delivery_id);
        kept.messages.push(message.clone());
        message
    }

    /// Keeps an event, or counts one that is known.
    pub fn keep_event(&self, event: Event) {
        let mut kept = self.kept.lock().expect("no holder of this lock panics");
        let fresh = event.id.is_empty();
        let id = if fresh { format!("{:032x}", kept.random.random::<u128>()) } else { event.id.clone() };
        kept.events.entry(id).and_modify(|known| known.told += 1).or_insert(event);
    }

    pub fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub fn messages(&self) -> Vec<Message> {
        self.kept.lock().expect("no holder of this lock panics").messages.clone()
    }

    pub fn message_count(&self) -> usize {
        self.kept.lock().expect("no holder of this lock panics").messages.len()
    }

    pub fn events(&self) -> Vec<Event> {
        self.kept.lock().expect("no holder of this lock panics").events.values().cloned().collect()
    }
}
