//! Webhooks over HTTP from 64 connections: signed orders of some kilobytes, each answered after the commit that holds it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sandbox::shopify::{Faults, Shop, sign};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::percentile;
use crate::{
    child::{SECRET, SHOP, WebProcess},
    figures::{Figures, RAWOPS},
    stage::Stage,
};

pub const RATE: &str = "webhooks acknowledged, 64 connections (requests/s)";
pub const P99: &str = "webhook answered p99 (ms)";

const CONNECTIONS: usize = 64;
const SPAN: Duration = Duration::from_secs(5);
/// Requests made beforehand; a round ends early when they are used up.
const REQUESTS: usize = 45_000;
const PORT: u16 = 18_080;

/// One round.
pub async fn measure(stage: &Stage, figures: &mut Figures) -> anyhow::Result<()> {
    stage.empty().await?;
    let requests: Arc<Vec<Vec<u8>>> = Arc::new(requests()?);
    let web = WebProcess::start(&stage.url(None)?, PORT)?;
    let (next, waits) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let bytes = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let client = Client { requests: Arc::clone(&requests), next: Arc::clone(&next), bytes: Arc::clone(&bytes), begun };
            tokio::spawn(client.run(Arc::clone(&waits)))
        })
        .collect();
    for client in clients {
        client.await??;
    }
    let taken = begun.elapsed();
    web.stop()?;
    let mut waits = std::mem::take(&mut *waits.lock().expect("no holder of this lock panics"));
    let stored: i64 = sqlx::query_scalar("select count(*) from raw_ops.webhook_inbox").fetch_one(&stage.pool).await?;
    let queued: i64 = sqlx::query_scalar("select count(*) from engine.job").fetch_one(&stage.pool).await?;
    anyhow::ensure!(stored as usize == waits.len(), "{} were acknowledged and {stored} are in the inbox", waits.len());
    anyhow::ensure!(queued == stored, "{stored} are in the inbox and {queued} have a job");
    figures.note(RATE, RAWOPS, waits.len() as f64 / taken.as_secs_f64());
    figures.note("webhook answered p50 (ms)", RAWOPS, percentile(&mut waits, 50));
    figures.note(P99, RAWOPS, percentile(&mut waits, 99));
    figures.note("webhook: mean size of the request (bytes)", RAWOPS, bytes.load(Ordering::Relaxed) as f64 / waits.len() as f64);
    Ok(())
}

/// Orders as the sandbox shop makes them, each signed.
fn requests() -> anyhow::Result<Vec<Vec<u8>>> {
    let shop = Shop::new(seed_of_now(), chrono::Utc::now(), Duration::from_secs(1));
    (0..REQUESTS as u64)
        .map(|n| {
            let sent = shop.deliveries(n, &Faults::NONE);
            let first = sent.first().ok_or_else(|| anyhow::anyhow!("an order sends a webhook"))?;
            let body = shortened(&first.body)?;
            let mut request = format!(
                "POST {} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\nx-shopify-topic: {}\r\n\
                 x-shopify-shop-domain: {SHOP}\r\nx-shopify-webhook-id: {}\r\nx-shopify-event-id: {}\r\nx-shopify-hmac-sha256: {}\r\n\r\n",
                web::webhooks::shopify::PATH,
                body.len(),
                first.topic,
                first.webhook_id,
                first.event_id,
                sign(SECRET, &body),
            )
            .into_bytes();
            request.extend_from_slice(&body);
            Ok(request)
        })
        .collect()
}

/// An order of some 4 KB: with one line, and without what it leaves empty.
fn shortened(body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut order: Value = serde_json::from_slice(body)?;
    if let Some(lines) = order["line_items"].as_array_mut() {
        lines.truncate(1);
    }
    drop_empty(&mut order);
    Ok(serde_json::to_vec(&order)?)
}

fn drop_empty(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|_, field| !field.is_null() && field != &Value::Array(Vec::new()));
        fields.values_mut().for_each(drop_empty);
    } else if let Value::Array(elements) = value {
        elements.iter_mut().for_each(drop_empty);
    }
}

/// Another shop each round: its orders are known to nobody.
fn seed_of_now() -> u64 {
    chrono::Utc::now().timestamp_micros() as u64
}

/// A connection that sends one request after another.
struct Client {
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
    bytes: Arc<AtomicU64>,
    begun: Instant,
}

impl Client {
    async fn run(self, all: Arc<Mutex<Vec<f64>>>) -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", PORT)).await?;
        stream.set_nodelay(true)?;
        let (mut waits, mut answer) = (Vec::new(), [0; 1024]);
        while self.begun.elapsed() < SPAN
            && let Some(request) = self.requests.get(self.next.fetch_add(1, Ordering::Relaxed))
        {
            let sent = Instant::now();
            stream.write_all(request).await?;
            let mut got = 0;
            // An answer of this route has a head and no body.
            while !answer[..got].ends_with(b"\r\n\r\n") {
                let read = stream.read(&mut answer[got..]).await?;
                anyhow::ensure!(read > 0, "the web process closed a connection");
                got += read;
            }
            anyhow::ensure!(answer.starts_with(b"HTTP/1.1 200"), "answered {}", String::from_utf8_lossy(&answer[..got]));
            waits.push(sent.elapsed().as_secs_f64() * 1e3);
            self.bytes.fetch_add(request.len() as u64, Ordering::Relaxed);
        }
        all.lock().expect("no holder of this lock panics").append(&mut waits);
        Ok(())
    }
}
