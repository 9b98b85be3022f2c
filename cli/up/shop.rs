//! The sandbox shop of `up`: opened where it was closed last time, and asked in the end whether all of its orders arrived.

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Context;
use chrono::{TimeDelta, Utc};
use rust_decimal::Decimal;
use sandbox::shopify::{self, Admin, Handle, Options, Sandbox, catalogue};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{settings::SHOP, steps::step};
use crate::output::counted;

/// How many orders before the newest may be missing after a crash: more than are under way or late at any moment.
const OWED: u64 = 2000;
/// How many missing orders are named.
const NAMED: usize = 5;

/// A shop that sends.
pub struct Shop {
    handle: Handle,
    stop: CancellationToken,
    expected: Option<u64>,
}

impl Shop {
    /// Makes its products and opens it.
    pub async fn open(pool: &PgPool, args: &super::Args, address: SocketAddr, secret: &str, admin: Option<Admin>) -> anyhow::Result<Self> {
        put_products(pool).await?;
        let begun = Instant::now();
        let url = format!("http://{address}{}", ::web::webhooks::shopify::PATH);
        let count = args.until_orders.or(args.orders);
        let mut options = Options { seed: args.seed, rate: args.rate, count, admin, ..Options::new(&url, secret, SHOP) };
        options.first = first_unknown(pool, &shopify::Shop::of(&options)).await?;
        options.opening = Utc::now() - placed_before(options.first, options.rate);
        let stop = CancellationToken::new();
        let first = options.first + 1;
        let handle = Sandbox::start(options, stop.clone()).context("the sandbox shop cannot send")?;
        step(&format!("sandbox: {SHOP}, seed {}, sends {} orders/s from its no. {first} on", args.seed, args.rate), begun.elapsed());
        Ok(Self { handle, stop, expected: args.until_orders })
    }

    /// What it counts.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits until it has sent all that it was to send.
    pub async fn finished(&self) {
        self.handle.finished().await;
    }

    /// Closes it and waits for the answers to what is under way.
    pub async fn close(&self) {
        self.stop.cancel();
        self.handle.finished().await;
    }

    /// Orders of which a webhook was accepted.
    pub fn orders(&self) -> usize {
        usize::try_from(self.handle.counters().orders).unwrap_or(usize::MAX)
    }

    /// What did not become what the shop says: orders that are missing or of another amount, webhooks that were given up.
    pub async fn problems(&self, pool: &PgPool) -> anyhow::Result<Vec<String>> {
        let truths = self.handle.ledger();
        let ids: Vec<String> = truths.keys().map(ToString::to_string).collect();
        let stored: Vec<(String, Decimal)> = sqlx::query_as(include_str!("../sql/orders/stored.sql")).bind(ids).fetch_all(pool).await?;
        let stored: HashMap<String, Decimal> = stored.into_iter().collect();
        let total = |id: &i64| stored.get(&id.to_string());
        let missing: Vec<&str> = truths.iter().filter(|(id, _)| total(id).is_none()).map(|(_, truth)| truth.name.as_str()).collect();
        let wrong = truths.iter().filter(|(id, truth)| total(id).is_some_and(|total| *total != truth.total));
        let wrong: Vec<&str> = wrong.map(|(_, truth)| truth.name.as_str()).collect();
        let mut problems = Vec::new();
        problems.extend(named(&missing, "of the shop is no order here", "of the shop are no orders here"));
        problems.extend(named(&wrong, "has another total than in the shop", "have other totals than in the shop"));
        let given_up = self.handle.counters().given_up as usize;
        if given_up > 0 {
            problems.push(format!("{} of the shop had no good answer and was given up", counted(given_up, "webhook")));
        }
        if let Some(expected) = self.expected.filter(|expected| (self.orders() as u64) < *expected) {
            problems.push(format!("the shop was to send {expected} orders, and {} were accepted", self.orders()));
        }
        Ok(problems)
    }
}

fn named(orders: &[&str], one: &str, more: &str) -> Option<String> {
    let names = orders.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let rest = if orders.len() > NAMED { ", …" } else { "" };
    match orders.len() {
        0 => None,
        1 => Some(format!("order {names} {one}")),
        count => Some(format!("{count} orders ({names}{rest}) {more}")),
    }
}

async fn put_products(pool: &PgPool) -> anyhow::Result<()> {
    let begun = Instant::now();
    let products = catalogue();
    let made: i64 = sqlx::query_scalar(include_str!("../sql/products/put.sql"))
        .bind(products.iter().map(|product| product.sku).collect::<Vec<_>>())
        .bind(products.iter().map(|product| product.name).collect::<Vec<_>>())
        .bind(products.iter().map(sandbox::shopify::Product::kg).collect::<Vec<_>>())
        .fetch_one(pool)
        .await?;
    step(&format!("products: {} of the sandbox, {made} of them new", products.len()), begun.elapsed());
    Ok(())
}

/// The place of the first order that the database does not know. Webhooks arrive in any order, so a shop that was
/// killed may have left gaps before the border: what it owed it sends again.
async fn first_unknown(pool: &PgPool, shop: &shopify::Shop) -> anyhow::Result<u64> {
    let border = border(pool, shop).await?;
    let recent: Vec<u64> = (border.saturating_sub(OWED)..border).collect();
    let known = known(pool, shop, &recent).await?;
    Ok(recent.into_iter().zip(known).find_map(|(n, known)| (!known).then_some(n)).unwrap_or(border))
}

/// A place whose order is unknown while the one before it is known: doubled until one is unknown, then halved.
async fn border(pool: &PgPool, shop: &shopify::Shop) -> anyhow::Result<u64> {
    let mut unknown = 0;
    while is_known(pool, shop, unknown).await? {
        unknown = unknown * 2 + 1;
    }
    let mut known_below = unknown.div_ceil(2);
    while known_below < unknown {
        let middle = known_below.midpoint(unknown);
        if is_known(pool, shop, middle).await? {
            known_below = middle + 1;
        } else {
            unknown = middle;
        }
    }
    Ok(unknown)
}

async fn is_known(pool: &PgPool, shop: &shopify::Shop, n: u64) -> anyhow::Result<bool> {
    Ok(known(pool, shop, &[n]).await? == [true])
}

/// Of each place, whether its order was ever received.
async fn known(pool: &PgPool, shop: &shopify::Shop, places: &[u64]) -> anyhow::Result<Vec<bool>> {
    let ids: Vec<Option<i64>> = places.iter().map(|n| shop.truths(*n).first().map(|truth| truth.order_id)).collect();
    Ok(sqlx::query_scalar(include_str!("../sql/orders/known.sql")).bind(ids).fetch_all(pool).await?)
}

/// The time that a shop takes to place its first `n` orders.
fn placed_before(n: u64, rate: f64) -> TimeDelta {
    Duration::try_from_secs_f64(n as f64 / rate).ok().and_then(|time| TimeDelta::from_std(time).ok()).unwrap_or_default()
}
