//! Shopify's Admin API as far as it is asked: which orders changed and the addresses of customers, by GraphQL with its bucket of
//! points; one order by REST.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;
use std::{fmt, io};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::customers::Customers;
use crate::front::{Answer, Asked, Fault, FaultRates, Faults, Front, System};

/// Versions of orders of a shop that goes on for ever that are kept.
const MOST_RECENT: usize = 2_000;

/// How the API behaves.
#[derive(Debug, Clone)]
pub struct AdminOptions {
    /// The same seed gives the same faults.
    pub seed: u64,
    /// What lets callers in.
    pub token: String,
    /// Points that the bucket holds.
    pub bucket: f64,
    /// Points a second that fill it.
    pub restore_rate: f64,
    /// What goes wrong by chance.
    pub faults: FaultRates,
}

impl AdminOptions {
    /// A shop of the Standard plan, without faults.
    pub fn new(token: &str) -> Self {
        Self { seed: 1, token: token.into(), bucket: 2_000.0, restore_rate: 100.0, faults: FaultRates::default() }
    }
}

/// The API of a sandbox's shop; a clone is the same one.
#[derive(Clone)]
pub struct Admin {
    shop: Arc<Shop>,
    url: String,
}

struct Shop {
    options: AdminOptions,
    orders: Mutex<BTreeMap<i64, Value>>,
    recent: Mutex<VecDeque<i64>>,
    customers: Customers,
    points: Mutex<(f64, Instant)>,
    throttled: AtomicU64,
    faults: Faults,
}

impl Admin {
    /// Opens the API on a free port of this machine, until `shutdown`.
    ///
    /// # Errors
    /// When no port is to be had.
    pub async fn start(options: AdminOptions, shutdown: CancellationToken) -> io::Result<Self> {
        let shop = Arc::new(Shop {
            orders: Mutex::default(),
            recent: Mutex::default(),
            customers: Customers::default(),
            points: Mutex::new((options.bucket, Instant::now())),
            throttled: AtomicU64::default(),
            faults: Faults::new(options.seed, options.faults),
            options,
        });
        let url = Front::start(Arc::clone(&shop), shutdown).await?.url();
        Ok(Self { shop, url })
    }

    /// Its address, as the base of calls.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The shop has this order now: a document as webhooks carry it.
    ///
    /// # Panics
    /// When it has no id.
    pub fn put(&self, order: Value) {
        let id = order["id"].as_i64().expect("an order has an id");
        self.shop.orders().insert(id, order);
    }

    /// As [`put`](Self::put), and the order's customer lives at the customer's default address, unless the shop knows the customer.
    /// Of the orders that come so, only the newest are kept.
    ///
    /// # Panics
    /// When it has no id.
    pub fn put_with_customer(&self, order: Value) {
        let customer = &order["customer"];
        if let Some(id) = customer["id"].as_i64() {
            self.shop.customers.meet(id, &customer["default_address"]);
        }
        let mut recent = self.shop.recent.lock().expect("no holder of this lock panics");
        recent.push_back(order["id"].as_i64().expect("an order has an id"));
        self.put(order);
        if recent.len() > MOST_RECENT {
            let oldest = recent.pop_front().filter(|oldest| !recent.contains(oldest));
            oldest.and_then(|oldest| self.shop.orders().remove(&oldest));
        }
    }

    /// The shop has this customer now, perhaps with a default address: with the names of the API's input.
    pub fn put_customer(&self, id: i64, address: Option<Value>) {
        self.shop.customers.put(id, address);
    }

    /// A customer's default address, with the names of the API's input; and how often an address of the customer was written.
    pub fn address(&self, id: i64) -> (Option<Value>, u64) {
        self.shop.customers.address(id)
    }

    /// How often callers met with an empty bucket.
    pub fn throttled(&self) -> u64 {
        self.shop.throttled.load(Ordering::Relaxed)
    }

    /// These faults, one a request.
    pub fn ask(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shop.faults.ask(faults);
    }

    /// As [`ask`](Self::ask), but after so many requests that nothing is wrong with.
    pub fn ask_after(&self, sound: usize, faults: impl IntoIterator<Item = Fault>) {
        self.shop.faults.ask_after(sound, faults);
    }

    /// This fault at each request, until told otherwise.
    pub fn always(&self, fault: Option<Fault>) {
        self.shop.faults.always(fault);
    }

    /// How many requests met a fault so far.
    pub fn faults_given(&self) -> u64 {
        self.shop.faults.given()
    }

    /// How many faults are still to come; a fault at each request counts as one.
    pub fn faults_left(&self) -> usize {
        self.shop.faults.left()
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("url", &self.url).finish_non_exhaustive()
    }
}

impl System for Shop {
    fn answer(&self, asked: &Asked) -> Answer {
        if asked.header("x-shopify-access-token") != Some(&self.options.token) {
            return self.refusal(401);
        }
        let segments: Vec<&str> = asked.path.trim_matches('/').split('/').collect();
        match (asked.method.as_str(), &segments[..]) {
            ("POST", ["admin", "api", _, "graphql.json"]) => self.graphql(asked),
            ("GET", ["admin", "api", _, "orders", file]) => self.order(file),
            _ => self.refusal(404),
        }
    }

    fn refusal(&self, status: u16) -> Answer {
        let words = match status {
            401 => "[API] Invalid API key or access token (unrecognized login or wrong password)",
            404 => "Not Found",
            429 => "Exceeded 2 calls per second for api client. Reduce request rates to resume uninterrupted service.",
            500.. => return Answer::new(status, "<html><body>Internal Server Error</body></html>").header("content-type", "text/html"),
            _ => "refused",
        };
        answer(status, &json!({ "errors": words }))
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }
}

impl Shop {
    fn orders(&self) -> MutexGuard<'_, BTreeMap<i64, Value>> {
        self.orders.lock().expect("no holder of this lock panics")
    }

    fn order(&self, file: &str) -> Answer {
        let id = file.strip_suffix(".json").and_then(|id| id.parse().ok());
        let found = id.and_then(|id: i64| self.orders().get(&id).cloned());
        found.map_or_else(|| self.refusal(404), |order| answer(200, &json!({ "order": order })))
    }

    fn graphql(&self, asked: &Asked) -> Answer {
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        let variables = &body["variables"];
        // A change costs ten, a question what it may show.
        let first = variables["first"].as_u64().unwrap_or(8) as usize;
        let cost = 2.0 + first as f64;
        let (available, is_paid) = self.pay(cost);
        let extensions = json!({ "cost": {
            "requestedQueryCost": cost, "actualQueryCost": if is_paid { Some(cost) } else { None },
            "throttleStatus": { "maximumAvailable": self.options.bucket, "currentlyAvailable": available, "restoreRate": self.options.restore_rate },
        } });
        if !is_paid {
            self.throttled.fetch_add(1, Ordering::Relaxed);
            let errors = json!([{ "message": "Throttled", "extensions": { "code": "THROTTLED" } }]);
            return answer(200, &json!({ "errors": errors, "extensions": extensions }));
        }
        let found = self.customers.answer(body["query"].as_str().unwrap_or_default(), variables).or_else(|| self.changed(variables, first));
        let invalid = json!([{ "message": "Invalid search query", "extensions": { "code": "BAD_REQUEST" } }]);
        let (name, said) = found.map_or(("errors", invalid), |data| ("data", data));
        answer(200, &json!({ name: said, "extensions": extensions }))
    }

    /// A page of the orders that changed; none when the filter is not understood.
    fn changed(&self, variables: &Value, first: usize) -> Option<Value> {
        let (since, until) = span(variables["filter"].as_str().unwrap_or_default())?;
        let mut found: Vec<(DateTime<Utc>, i64)> =
            self.orders().iter().filter_map(|(id, order)| Some((order["updated_at"].as_str()?.parse().ok()?, *id))).collect();
        found.retain(|(at, _)| (since..=until).contains(at));
        found.sort_unstable();
        let begin = variables["after"].as_str().and_then(|cursor| cursor.parse().ok()).unwrap_or(0_usize);
        let nodes: Vec<Value> =
            found.iter().skip(begin).take(first).map(|(at, id)| json!({ "legacyResourceId": id.to_string(), "updatedAt": at })).collect();
        let end = begin + nodes.len();
        let page = json!({ "hasNextPage": end < found.len(), "endCursor": end.to_string() });
        Some(json!({ "orders": { "nodes": nodes, "pageInfo": page } }))
    }

    /// Takes points out of the bucket, if there are so many. Returns how many are left, and whether it could.
    fn pay(&self, cost: f64) -> (f64, bool) {
        let mut points = self.points.lock().expect("no holder of this lock panics");
        let now = Instant::now();
        let filled = (points.0 + now.duration_since(points.1).as_secs_f64() * self.options.restore_rate).min(self.options.bucket);
        let is_paid = filled >= cost;
        *points = (if is_paid { filled - cost } else { filled }, now);
        (points.0.floor(), is_paid)
    }
}

/// The two times of `updated_at:>='…' AND updated_at:<='…'`.
fn span(filter: &str) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let (since, until) = filter.split_once(" AND ")?;
    let time = |text: &str, sign: &str| text.strip_prefix(sign)?.trim_matches('\'').parse().ok();
    Some((time(since, "updated_at:>=")?, time(until, "updated_at:<=")?))
}

fn answer(status: u16, body: &Value) -> Answer {
    Answer::new(status, body.to_string()).header("content-type", "application/json")
}
