//! How the house does: a line every few seconds.

use std::time::{Duration, Instant};

use engine::store::place;
use sqlx::PgPool;

use super::shop::Shop;
use crate::output;

/// How often the status is shown.
pub const EVERY: Duration = Duration::from_secs(5);
/// Jobs scheduled to run within this time count as waiting.
const SOON: Duration = Duration::from_mins(1);

/// The business, counted.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
struct Inbox {
    webhooks: i64,
    pending: i64,
    orders: i64,
}

/// The status since it began.
pub struct Status {
    pool: PgPool,
    begun: Instant,
    before: Inbox,
    shop: Option<sandbox::shopify::Handle>,
}

impl Status {
    /// Counts from here on.
    pub async fn begin(pool: PgPool, shop: Option<&Shop>) -> anyhow::Result<Self> {
        let before = inbox(&pool).await?;
        Ok(Self { pool, begun: Instant::now(), before, shop: shop.map(Shop::handle) })
    }

    /// Prints one line. A database that is away is told of in it.
    pub async fn show(&self) -> anyhow::Result<()> {
        let line = match self.counts().await {
            Ok((inbox, jobs)) => {
                let webhooks = inbox.webhooks - self.before.webhooks;
                let received = match &self.shop {
                    Some(shop) => format!("{} orders in {webhooks} webhooks", shop.counters().orders),
                    None => format!("{webhooks} webhooks"),
                };
                let processed = inbox.orders - self.before.orders;
                format!("received {received}, processed {processed} orders, waiting {} jobs, dead {}", jobs.waiting(), jobs.dead)
            }
            Err(error) => format!("the database does not answer: {error}"),
        };
        let seconds = self.begun.elapsed().as_secs();
        output::print(format!("{:02}:{:02}  {line}", seconds / 60, seconds % 60))
    }

    /// Waits until everything received is processed; what is left, when none of it was for as long as `patience`.
    pub async fn drained(&self, patience: Duration) -> anyhow::Result<Option<String>> {
        let (mut least, mut since) = (i64::MAX, Instant::now());
        let mut next = tokio::time::interval(EVERY);
        next.reset();
        loop {
            let (inbox, jobs) = self.counts().await?;
            let left = inbox.pending + jobs.waiting();
            if left == 0 {
                return Ok(None);
            }
            if left < least {
                (least, since) = (left, Instant::now());
            }
            if since.elapsed() > patience {
                return Ok(Some(format!("{} webhooks and {} jobs still wait", inbox.pending, jobs.waiting())));
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(50)) => (),
                _ = next.tick() => self.show().await?,
            }
        }
    }

    async fn counts(&self) -> Result<(Inbox, place::Counts), sqlx::Error> {
        Ok((inbox(&self.pool).await?, place::count(&self.pool, SOON).await?))
    }
}

async fn inbox(pool: &PgPool) -> Result<Inbox, sqlx::Error> {
    sqlx::query_as(include_str!("../sql/webhook_inbox/count.sql")).fetch_one(pool).await
}
