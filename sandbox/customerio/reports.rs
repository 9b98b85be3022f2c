//! The reporting webhook: signed, four seconds for an answer, and again after anything but success.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::Utc;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::ledger::Message;

const TIMEOUT: Duration = Duration::from_secs(4);
/// Reports under way at a time.
const AT_ONCE: usize = 8;
/// Attempts before a report is given up; a week's worth with them.
const ATTEMPTS: u32 = 20;

/// Where reports go, and how.
#[derive(Debug, Clone)]
pub struct Reporting {
    /// The address.
    pub url: String,
    /// The key that signs them.
    pub signing_key: String,
    /// Whether the mail's own headers are in its `sent` report: a setting of the webhook.
    pub include_headers: bool,
    /// Whether each report is sent twice.
    pub twice: bool,
    /// The pause before a report is sent again; with them, an hour.
    pub retry_after: Duration,
}

/// Sends reports.
pub(super) struct Reporter {
    sender: Arc<Sender>,
    under_way: Arc<AtomicUsize>,
    shutdown: CancellationToken,
}

struct Sender {
    http: reqwest::Client,
    reporting: Reporting,
    places: Semaphore,
}

impl Reporter {
    pub fn start(reporting: Reporting, shutdown: CancellationToken) -> reqwest::Result<Self> {
        let http = crate::http().timeout(TIMEOUT).redirect(Policy::none()).no_proxy().build()?;
        let sender = Arc::new(Sender { http, reporting, places: Semaphore::new(AT_ONCE) });
        Ok(Self { sender, under_way: Arc::default(), shutdown })
    }

    /// Reports of a mail, in the background, that it was sent.
    pub fn tell(&self, message: Message) {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        let (sender, under_way, shutdown) = (Arc::clone(&self.sender), Arc::clone(&self.under_way), self.shutdown.clone());
        tokio::spawn(async move {
            shutdown.run_until_cancelled(sender.report(&message)).await;
            under_way.fetch_sub(1, Ordering::Relaxed);
        });
    }

    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }
}

impl Sender {
    async fn report(&self, message: &Message) {
        let body = self.body(message).to_string();
        for _ in 0..=usize::from(self.reporting.twice) {
            for attempt in 1..=ATTEMPTS {
                if self.post_in_turn(&body).await {
                    break;
                }
                if attempt == ATTEMPTS {
                    tracing::warn!("a report of the sandbox's Customer.io was given up");
                }
                tokio::time::sleep(self.reporting.retry_after).await;
            }
        }
    }

    fn body(&self, message: &Message) -> Value {
        let mut data = json!({
            "delivery_id": message.delivery_id,
            "identifiers": message.identifiers,
            "recipient": message.to,
            "subject": "A mail of the sandbox",
            "transactional_message_id": message.template,
        });
        if self.reporting.include_headers && !message.headers.is_empty() {
            let headers: serde_json::Map<String, Value> =
                message.headers.iter().map(|(name, value)| (capitalised(name), json!([value]))).collect();
            data["headers"] = headers.into();
        }
        json!({
            "event_id": Uuid::new_v4().simple().to_string(),
            "object_type": "email",
            "metric": "sent",
            "timestamp": message.at.timestamp(),
            "data": data,
        })
    }

    async fn post_in_turn(&self, body: &str) -> bool {
        let _place = self.places.acquire().await;
        self.post(body).await
    }

    async fn post(&self, body: &str) -> bool {
        let timestamp = Utc::now().timestamp();
        let sent = self
            .http
            .post(&self.reporting.url)
            .header("content-type", "application/json")
            .header("x-cio-timestamp", timestamp.to_string())
            .header("x-cio-signature", sign(&self.reporting.signing_key, timestamp, body.as_bytes()))
            .body(body.to_owned())
            .send()
            .await;
        sent.is_ok_and(|answer| answer.status().is_success())
    }
}

/// As their example shows a header's name: `Customheader1`.
fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect())
}

/// What Customer.io puts into `X-CIO-Signature`.
///
/// # Panics
/// Never: HMAC takes a key of any length.
pub fn sign(key: &str, timestamp: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(format!("v0:{timestamp}:").as_bytes());
    mac.update(body);
    mac.finalize().into_bytes().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes what is written");
        text
    })
}
