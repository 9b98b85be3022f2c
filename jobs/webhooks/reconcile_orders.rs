//! Find orders that changed at Shopify and that no webhook told of.
//!
//! Shopify: which orders changed -> those that are not here as new -> the whole of each -> inbox, as if its webhook had come
//! inbox: what order documents list -> refunds and fulfilments that no webhook told of -> inbox
//!
//! Started by  schedules, every fifteen minutes, as `reconcile-shopify-orders`
//! Unique by   schedule
//! Retried     from where it got: each page is one commit
//!
//! The last ten minutes are left out, because their webhooks may be on their way. Without SHOPIFY_ADMIN_TOKEN it does nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::{Job, JobResult, Outcome, Run, Tx};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::clients::{
    Outside,
    shopify::{self, Changed, Page, Shopify},
};

/// Pages of one run: what is left waits for the next.
const PAGES: usize = 20;

/// Reconciles once.
#[derive(Debug, Clone, Default, JsonSchema, Serialize, Deserialize)]
pub struct ReconcileOrders {}

impl Job for ReconcileOrders {
    const KIND: &'static str = "webhooks.reconcile_orders";
    const QUEUE: &'static str = "webhooks";
    const PRIORITY: i16 = 7;
    const TIMEOUT: Duration = Duration::from_mins(10);
    const CALLS: Option<&'static str> = Some(shopify::ADMIN);

    fn schema() -> serde_json::Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let shopify = &run.shared::<Outside>()?.shopify;
        let Some(shop) = shopify.shop() else {
            run.called_nothing();
            return Ok(Outcome::Done(json!({ "skipped": "SHOPIFY_ADMIN_TOKEN is not set" })));
        };
        let (since, until) = span(run).await?;
        let (mut looked_at, mut missed, mut after) = (0, 0, None);
        for _ in 0..PAGES {
            let page = shopify.changed_orders(since, until, after.as_deref(), run).await?;
            looked_at += page.orders.len();
            let documents = fetch(shopify, &page, run).await?;
            let mut tx = run.begin().await?;
            // Beside the alert of the first page: a try that fails later finds them known.
            let untold = if after.is_none() { store_parts(&mut tx, since, until).await? } else { 0 };
            missed += untold + store(&mut tx, shop, &documents).await?;
            let reached = page.orders.last().map(|order| order.at).filter(|_| page.next.is_some()).unwrap_or(until);
            settle(&mut tx, reached, untold + documents.len()).await?;
            if page.next.is_none() {
                return run.complete_in(tx, json!({ "looked_at": looked_at, "missed": missed })).await;
            }
            tx.commit().await?;
            after = page.next;
        }
        Ok(Outcome::Done(json!({ "looked_at": looked_at, "missed": missed, "more": true })))
    }
}

/// From where the last run got to ten minutes ago.
async fn span(run: &Run) -> JobResult<(DateTime<Utc>, DateTime<Utc>)> {
    let mut tx = run.begin().await?;
    let span = sqlx::query_as(
        "select least(raw_ops.orders_reconciled_until(), engine.now() - interval '10 minutes'), engine.now() - interval '10 minutes'",
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(span)
}

/// Lays refunds and fulfilments into the inbox of which only their order's documents tell. Returns of how many orders.
async fn store_parts(tx: &mut Tx, since: DateTime<Utc>, until: DateTime<Utc>) -> JobResult<usize> {
    let orders: i32 = sqlx::query_scalar("select raw_ops.store_untold_parts($1, $2)").bind(since).bind(until).fetch_one(&mut **tx).await?;
    Ok(usize::try_from(orders).unwrap_or_default())
}

/// The whole of each order of a page that is not here as new.
async fn fetch(shopify: &Shopify, page: &Page, run: &Run) -> JobResult<Vec<String>> {
    let (ids, times): (Vec<i64>, Vec<DateTime<Utc>>) = page.orders.iter().map(|Changed { id, at }| (*id, *at)).unzip();
    let mut tx = run.begin().await?;
    let behind: Vec<i64> = sqlx::query_scalar("select raw_ops.orders_behind($1, $2)").bind(ids).bind(times).fetch_all(&mut *tx).await?;
    tx.commit().await?;
    let mut documents = Vec::with_capacity(behind.len());
    for id in behind {
        documents.extend(shopify.order(id, run).await?);
    }
    Ok(documents)
}

/// Lays the orders into the inbox. Returns how many are there now that were not.
async fn store(tx: &mut Tx, shop: &str, documents: &[String]) -> JobResult<usize> {
    let mut stored = 0;
    for document in documents {
        let made: Option<i32> =
            sqlx::query_scalar("select raw_ops.store_missed_order($1, $2)").bind(shop).bind(document).fetch_one(&mut **tx).await?;
        stored += usize::from(made.is_some_and(|made| made > 0));
    }
    Ok(stored)
}

async fn settle(tx: &mut Tx, until: DateTime<Utc>, missed: usize) -> JobResult<()> {
    sqlx::query("select raw_ops.settle_reconciliation($1, $2)").bind(until).bind(missed as i32).execute(&mut **tx).await?;
    Ok(())
}
