//! The running sandbox: orders at a steady rate until told to stop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ledger::{Counters, Ledger, Truth};
use super::options::Options;
use super::sender::Sender;
use super::shop::Shop;

/// Starts shops.
pub struct Sandbox;

/// A shop that sends; dropping it does not stop it, its shutdown does.
#[derive(Clone)]
pub struct Handle {
    ledger: Arc<Ledger>,
    tasks: TaskTracker,
}

impl Sandbox {
    /// Starts sending in the background, until the count is reached or `shutdown`.
    ///
    /// # Errors
    /// When the system gives no HTTP client.
    pub fn start(options: Options, shutdown: CancellationToken) -> reqwest::Result<Handle> {
        let handle = Handle { ledger: Arc::default(), tasks: TaskTracker::new() };
        let running =
            Running { shop: Shop::of(&options), sender: Sender::new(&options)?, ledger: Arc::clone(&handle.ledger), shutdown, options };
        handle.tasks.spawn(place_orders(Arc::new(running), handle.tasks.clone()));
        handle.tasks.close();
        Ok(handle)
    }
}

impl Handle {
    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.ledger.counters()
    }

    /// What each order of which a webhook was accepted must look like in the
    /// end, by Shopify's id.
    pub fn ledger(&self) -> BTreeMap<i64, Truth> {
        self.ledger.truths()
    }

    /// Orders whose newest version was sent and not accepted: it may have been
    /// stored or not.
    pub fn unsettled(&self) -> BTreeSet<i64> {
        self.ledger.unsettled()
    }

    /// Waits until every webhook is accepted or given up, or after a shutdown
    /// until the last request is answered.
    pub async fn finished(&self) {
        self.tasks.wait().await;
    }
}

struct Running {
    shop: Shop,
    sender: Sender,
    ledger: Arc<Ledger>,
    shutdown: CancellationToken,
    options: Options,
}

async fn place_orders(running: Arc<Running>, tasks: TaskTracker) {
    let options = &running.options;
    let places = Arc::new(Semaphore::new(options.in_flight));
    let period = Duration::try_from_secs_f64(1.0 / options.rate).unwrap_or(Duration::MAX);
    let mut due = interval(period.max(Duration::from_micros(1)));
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let last = options.count.map_or(u64::MAX, |count| options.first.saturating_add(count));
    for n in options.first..last {
        let place = async {
            due.tick().await;
            Arc::clone(&places).acquire_owned().await
        };
        let Some(Ok(permit)) = running.shutdown.run_until_cancelled(place).await else {
            return;
        };
        let running = Arc::clone(&running);
        tasks.spawn(async move {
            running.send(n).await;
            drop(permit);
        });
    }
}

impl Running {
    /// Sends the webhooks of order `n`, one after the other.
    async fn send(&self, n: u64) {
        let truths = self.shop.truths(n);
        let mut newest = None;
        for delivery in self.shop.deliveries(n, &self.options.faults) {
            let truth = &truths[delivery.version];
            if let Some(admin) = self.options.admin.as_ref().filter(|_| newest < Some(delivery.version)) {
                admin.put_with_customer(serde_json::from_slice(&delivery.body).expect("documents are JSON"));
                newest = Some(delivery.version);
            }
            self.sender.deliver(&delivery, truth, &self.ledger, &self.shutdown).await;
            let pause = tokio::time::sleep(self.pause());
            if self.shutdown.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    fn pause(&self) -> Duration {
        let longest = self.options.gap;
        if longest.is_zero() {
            return longest;
        }
        rand::rng().random_range(Duration::ZERO..longest)
    }
}
