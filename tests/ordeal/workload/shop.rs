//! A shop that sends signed orders, and sends each again until it is accepted.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use sandbox::shopify::{Delivery, Faults, Shop, sign};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    ledger::Accepted,
    process::child::{SECRET, SHOP},
    stage::Stage,
};

const AGAIN: Duration = Duration::from_millis(300);
/// What goes wrong on the way, besides the run's faults.
pub const DISORDER: Faults = Faults { duplicate: 0.2, out_of_order: 0.3, replay: 0.1 };

/// The shop of a seed.
///
/// # Panics
/// Never: the opening is a moment.
pub fn shop(seed: u64) -> Shop {
    let opening = DateTime::<Utc>::from_timestamp(1_770_000_000, 0).expect("a moment");
    Shop::new(seed, opening, Duration::from_secs(1))
}

/// Sends `rate` orders a second until it is told to stop, and what it owes then.
///
/// # Errors
/// When the ledger cannot be written.
pub async fn run(stage: Arc<Stage>, rate: f64, stop: CancellationToken) -> anyhow::Result<()> {
    let seeded = shop(stage.seed);
    let http = reqwest::Client::builder().connect_timeout(Duration::from_secs(1)).timeout(Duration::from_secs(5)).no_proxy().build()?;
    let mut beat = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
    let mut sending: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let mut order = 0;
    while stop.run_until_cancelled(beat.tick()).await.is_some() {
        let (stage, http, deliveries) = (stage.clone(), http.clone(), seeded.deliveries(order, &DISORDER));
        sending.spawn(async move {
            for (number, delivery) in deliveries.iter().enumerate() {
                let sent_again = send(&stage, &http, delivery).await;
                stage.ledger.accepted.add_synced(&Accepted { at_us: clock::now_us(), order, delivery: number, sent_again })?;
            }
            Ok(())
        });
        order += 1;
    }
    while let Some(sent) = sending.join_next().await {
        sent??;
    }
    Ok(())
}

/// Sends a webhook until it is accepted; returns how often it had to be sent again.
async fn send(stage: &Stage, http: &reqwest::Client, delivery: &Delivery) -> u32 {
    let mut sent_again = 0;
    loop {
        let port = stage.ports[sent_again as usize % stage.ports.len()];
        let answer = http
            .post(format!("http://127.0.0.1:{port}{}", web::webhooks::shopify::PATH))
            .header("content-type", "application/json")
            .header("x-shopify-topic", delivery.topic)
            .header("x-shopify-hmac-sha256", sign(SECRET, &delivery.body))
            .header("x-shopify-shop-domain", SHOP)
            .header("x-shopify-webhook-id", delivery.webhook_id.to_string())
            .header("x-shopify-event-id", delivery.event_id.to_string())
            .header("x-shopify-triggered-at", delivery.triggered_at.to_rfc3339())
            .body(delivery.body.to_vec())
            .send()
            .await;
        if answer.is_ok_and(|answer| answer.status() == 200) {
            return sent_again;
        }
        sent_again += 1;
        tokio::time::sleep(AGAIN).await;
    }
}
