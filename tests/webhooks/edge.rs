//! A web process on a database of its own, and what a sender and a reader of the database see.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{RequestBuilder, Response};
use sha2::Sha256;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use web::{AppState, Config, Secret};

use crate::support::Database;

pub const SECRET: &str = "hush";
/// What Shopify signed with before the last rotation.
pub const SECRET_BEFORE: &str = "hush before";
pub const SHOP: &str = "raw.myshopify.com";
/// What Customer.io signs its reports with, and did before.
pub const REPORTS_KEY: &str = "reports key";
pub const REPORTS_KEY_BEFORE: &str = "reports key before";

/// What Seal signs with, and did before.
pub const SEAL_SECRET: &str = "seal secret";
pub const SEAL_SECRET_BEFORE: &str = "seal secret before";
/// What our couriers' adapters sign with, and did before.
pub const COURIER_SECRET: &str = "courier secret";
pub const COURIER_SECRET_BEFORE: &str = "courier secret before";
/// What the packer's adapter signs with, and did before.
pub const PACKER_SECRET: &str = "packer secret";
pub const PACKER_SECRET_BEFORE: &str = "packer secret before";

fn keys(current: &str, previous: &str) -> web::Keys {
    web::Keys { current: Some(Secret::new(current)), previous: Some(Secret::new(previous)) }
}

/// Web processes on one database; requests go to them in turn.
pub struct Edge {
    database: Database,
    addresses: Vec<SocketAddr>,
    turn: AtomicUsize,
    pub http: reqwest::Client,
    shutdown: CancellationToken,
}

impl Edge {
    /// One web process.
    pub async fn start() -> Self {
        Self::of(1).await
    }

    /// So many web processes.
    pub async fn of(processes: usize) -> Self {
        let database = Database::new().await;
        let shutdown = CancellationToken::new();
        let mut addresses = Vec::new();
        for _ in 0..processes {
            let listener = web::bind(([127, 0, 0, 1], 0).into()).await.expect("a free port");
            let address = listener.local_addr().expect("a bound socket has an address");
            let config = Config {
                bind: address,
                shopify_secret: Secret::new(SECRET),
                shopify_secret_previous: Some(Secret::new(SECRET_BEFORE)),
                shop_domain: SHOP.into(),
                customerio: keys(REPORTS_KEY, REPORTS_KEY_BEFORE),
                seal: keys(SEAL_SECRET, SEAL_SECRET_BEFORE),
                courier: keys(COURIER_SECRET, COURIER_SECRET_BEFORE),
                packer: keys(PACKER_SECRET, PACKER_SECRET_BEFORE),
            };
            let router = web::router(AppState::new(&config, database.pool().clone()));
            tokio::spawn(web::run(listener, router, shutdown.clone()));
            addresses.push(address);
        }
        Self { database, addresses, turn: AtomicUsize::new(0), http: reqwest::Client::new(), shutdown }
    }

    pub fn database_url(&self) -> String {
        self.database.url()
    }

    pub fn database(&self) -> &Database {
        &self.database
    }

    pub fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    pub fn url(&self, path: &str) -> String {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        format!("http://{}{path}", self.addresses[turn % self.addresses.len()])
    }

    pub async fn get(&self, path: &str) -> Response {
        self.http.get(self.url(path)).send().await.expect("the process answers")
    }

    /// A signed delivery, to be changed before it is sent.
    pub fn delivery(&self, topic: &str, webhook_id: &str, body: impl Into<Vec<u8>>) -> RequestBuilder {
        self.delivery_signed(SECRET, topic, webhook_id, body)
    }

    /// A delivery that is signed with this secret.
    pub fn delivery_signed(&self, secret: &str, topic: &str, webhook_id: &str, body: impl Into<Vec<u8>>) -> RequestBuilder {
        let body = body.into();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key length");
        mac.update(&body);
        let request = self
            .http
            .post(self.url(web::webhooks::shopify::PATH))
            .header("content-type", "application/json")
            .header("x-shopify-topic", topic)
            .header("x-shopify-shop-domain", SHOP)
            .header("x-shopify-event-id", "98880550-7158-44d4-b7cd-2c97c8a091b5")
            .header("x-shopify-triggered-at", "2026-03-29T01:00:00.123456789Z")
            .header("x-shopify-hmac-sha256", STANDARD.encode(mac.finalize().into_bytes()))
            .body(body);
        if webhook_id.is_empty() { request } else { request.header("x-shopify-webhook-id", webhook_id) }
    }

    /// Sends a delivery and returns the status.
    pub async fn deliver(&self, topic: &str, webhook_id: &str, body: impl Into<Vec<u8>>) -> u16 {
        let sent = self.delivery(topic, webhook_id, body).send().await;
        sent.expect("the process answers").status().as_u16()
    }

    /// Sends what an adapter of ours signs with this secret at this time, in seconds, and returns the status.
    pub async fn adapt(&self, path: &str, content_type: &str, secret: &str, at: i64, body: &str) -> u16 {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key length");
        mac.update(format!("v0:{at}:{body}").as_bytes());
        let signature = mac.finalize().into_bytes().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let request = self.http.post(self.url(path)).header("content-type", content_type).header("x-rawops-timestamp", at.to_string());
        let sent = request.header("x-rawops-signature", signature).header("x-rawops-file", "today.csv").body(body.to_owned()).send().await;
        sent.expect("the process answers").status().as_u16()
    }

    /// The inbox in the order of arrival.
    pub async fn inbox(&self) -> Vec<InboxRow> {
        sqlx::query_as(
            "select id, topic, webhook_id, shopify_order_id, processing_status, replay_of, raw_body, raw_payload::text as payload, last_error
             from raw_ops.webhook_inbox order by received_at, id",
        )
        .fetch_all(self.pool())
        .await
        .expect("the inbox can be read")
    }

    /// Takes every job out of the queue, as a worker would, and returns the inbox rows they are for.
    pub async fn take_jobs(&self) -> Vec<uuid::Uuid> {
        sqlx::query_scalar(
            "with taken as (delete from engine.ready returning job_id),
             freed as (delete from engine.unique_key where job_id in (select job_id from taken)),
             gone as (
                 delete from engine.job where id in (select job_id from taken)
                 returning id, (args ->> 'inbox_id')::uuid as inbox_id
             )
             select inbox_id from gone where inbox_id is not null order by gone.id",
        )
        .fetch_all(self.pool())
        .await
        .expect("jobs can be taken")
    }

    pub async fn statuses(&self) -> Vec<String> {
        self.inbox().await.into_iter().map(|row| row.processing_status).collect()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

#[derive(Debug, sqlx::FromRow)]
pub struct InboxRow {
    pub id: uuid::Uuid,
    pub topic: String,
    pub webhook_id: String,
    pub shopify_order_id: Option<i64>,
    pub processing_status: String,
    pub replay_of: Option<uuid::Uuid>,
    pub raw_body: Vec<u8>,
    pub payload: String,
    pub last_error: Option<String>,
}
