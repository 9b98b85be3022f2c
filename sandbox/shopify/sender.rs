//! Sends webhooks as Shopify does: signed, five seconds for an answer, and
//! again after anything but 2xx.

use std::time::Duration;

use reqwest::redirect::Policy;
use tokio_util::sync::CancellationToken;

use super::delivery::Delivery;
use super::ledger::{Answer, Ledger, Truth};
use super::options::Options;
use super::signature::sign;

/// Retries after the first attempt, over four hours at Shopify.
const RETRIES: u32 = 8;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(5);
const API_VERSION: &str = "2026-07";

pub struct Sender {
    http: reqwest::Client,
    url: String,
    secret: String,
    shop_domain: String,
    retry_after: Duration,
}

impl Sender {
    /// # Errors
    /// When the system gives no HTTP client.
    pub fn new(options: &Options) -> reqwest::Result<Self> {
        Ok(Self {
            http: crate::http().connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT).redirect(Policy::none()).no_proxy().build()?,
            url: options.url.clone(),
            secret: options.secret.clone(),
            shop_domain: options.shop_domain.clone(),
            retry_after: options.retry_after,
        })
    }

    /// Sends one webhook until it is accepted, given up, or `shutdown`.
    pub async fn deliver(&self, delivery: &Delivery, truth: &Truth, ledger: &Ledger, shutdown: &CancellationToken) {
        for retry in 0..=RETRIES {
            ledger.sends(truth);
            let answer = self.post(delivery).await;
            ledger.answered(truth, answer);
            if answer == Answer::Accepted {
                return;
            }
            if retry == RETRIES {
                ledger.gives_up();
                tracing::warn!(order_id = delivery.order_id, topic = delivery.topic, "webhook given up");
                return;
            }
            let pause = tokio::time::sleep(self.retry_after * 2_u32.pow(retry));
            if shutdown.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    async fn post(&self, delivery: &Delivery) -> Answer {
        let sent = self
            .http
            .post(&self.url)
            .header("content-type", "application/json")
            .header("user-agent", "Shopify-Captain-Hook")
            .header("x-shopify-topic", delivery.topic)
            .header("x-shopify-hmac-sha256", sign(&self.secret, &delivery.body))
            .header("x-shopify-shop-domain", &self.shop_domain)
            .header("x-shopify-api-version", API_VERSION)
            .header("x-shopify-webhook-id", delivery.webhook_id.to_string())
            .header("x-shopify-event-id", delivery.event_id.to_string())
            .header("x-shopify-triggered-at", delivery.triggered_at.to_rfc3339())
            .body(delivery.body.to_vec())
            .send()
            .await;
        match sent {
            Ok(response) if response.status().is_success() => Answer::Accepted,
            Ok(_) => Answer::Rejected,
            Err(error) => {
                tracing::debug!(%error, "webhook not answered");
                Answer::None
            }
        }
    }
}
