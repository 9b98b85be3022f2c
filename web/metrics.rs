//! `GET /metrics`: figures in the Prometheus text format.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use tokio::time::timeout;

use crate::AppState;
use crate::webhooks::shopify::Stored;

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const DATABASE_UP: &str = "rawops_database_up";
/// How long the database may take for its figures.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(5);
const WEBHOOKS: &str = "rawops_shopify_webhooks_total";

/// Shopify deliveries of this process, by what became of them.
#[derive(Default)]
pub struct Counts {
    enqueued: AtomicU64,
    duplicate: AtomicU64,
    suspected_replay: AtomicU64,
    unknown_topic: AtomicU64,
    unsigned: AtomicU64,
    refused: AtomicU64,
    unavailable: AtomicU64,
}

impl Counts {
    /// A delivery was stored or was known.
    pub fn stored(&self, stored: Stored) {
        count(match stored {
            Stored::Enqueued => &self.enqueued,
            Stored::Duplicate => &self.duplicate,
            Stored::SuspectedReplay => &self.suspected_replay,
            Stored::UnknownTopic => &self.unknown_topic,
        });
    }

    /// A request without a valid signature, or of another shop.
    pub fn unsigned(&self) {
        count(&self.unsigned);
    }

    /// A request refused before its signature was looked at.
    pub fn refused(&self) {
        count(&self.refused);
    }

    /// A delivery that the database did not take.
    pub fn unavailable(&self) {
        count(&self.unavailable);
    }

    fn render(&self) -> String {
        let rows = [
            ("enqueued", &self.enqueued),
            ("duplicate", &self.duplicate),
            ("suspected_replay", &self.suspected_replay),
            ("unknown_topic", &self.unknown_topic),
            ("unsigned", &self.unsigned),
            ("refused", &self.refused),
            ("unavailable", &self.unavailable),
        ];
        let mut text = format!(
            "# HELP {WEBHOOKS} Shopify deliveries by what became of them.\n\
             # TYPE {WEBHOOKS} counter\n"
        );
        for (result, counter) in rows {
            let value = counter.load(Ordering::Relaxed);
            writeln!(text, "{WEBHOOKS}{{result=\"{result}\"}} {value}").expect("a string takes what is written");
        }
        text
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Answers a scrape. Without a database it shows what this process counted, so that an outage can be seen from here.
pub async fn show(State(state): State<AppState>) -> impl IntoResponse {
    let mut text = state.counts.render();
    let engine = timeout(DATABASE_TIMEOUT, engine::metrics::render(&state.pool)).await;
    let database_up = match engine {
        Ok(Ok(figures)) => {
            text += &figures;
            1
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "the database's figures are left out");
            0
        }
        Err(_) => 0,
    };
    writeln!(
        text,
        "# HELP {DATABASE_UP} Whether the database answered this scrape.\n# TYPE {DATABASE_UP} gauge\n{DATABASE_UP} {database_up}"
    )
    .expect("a string takes what is written");
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text)
}
