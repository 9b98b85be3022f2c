//! Seal's merchant API as far as it is asked: subscriptions are shown and their addresses written, each write once.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::front::{Answer, Asked, Fault, FaultRates, Faults, Front, Limit, System};

/// How the account behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The same seed gives the same faults.
    pub seed: u64,
    /// What lets callers in.
    pub token: String,
    /// Requests a second that it takes.
    pub per_second: f64,
    /// What goes wrong by chance.
    pub faults: FaultRates,
}

impl Options {
    /// An account without faults that takes ten requests a second.
    pub fn new(token: &str) -> Self {
        Self { seed: 1, token: token.into(), per_second: 10.0, faults: FaultRates::default() }
    }
}

/// The account of a sandbox; a clone is the same one.
#[derive(Clone)]
pub struct Seal {
    account: Arc<Account>,
    url: String,
}

struct Account {
    token: String,
    limit: Limit,
    subscriptions: Mutex<BTreeMap<String, Value>>,
    writes: Mutex<Vec<Value>>,
    faults: Faults,
}

impl Seal {
    /// Opens the account on a free port of this machine, until `shutdown`.
    ///
    /// # Errors
    /// When no port is to be had.
    pub async fn start(options: Options, shutdown: CancellationToken) -> io::Result<Self> {
        let account = Arc::new(Account {
            token: options.token,
            limit: Limit::new(options.per_second, options.per_second),
            subscriptions: Mutex::default(),
            writes: Mutex::default(),
            faults: Faults::new(options.seed, options.faults),
        });
        let url = Front::start(Arc::clone(&account), shutdown).await?.url();
        Ok(Self { account, url })
    }

    /// Its address, as the base of calls.
    pub fn url(&self) -> String {
        format!("{}/shopify/merchant/api", self.url)
    }

    /// The account has this subscription now: a document as webhooks carry it.
    ///
    /// # Panics
    /// When it has no id.
    pub fn put(&self, subscription: Value) {
        let id = subscription["id"].as_u64().expect("a subscription has an id");
        self.account.subscriptions().insert(id.to_string(), subscription);
    }

    /// A subscription as it stands.
    pub fn subscription(&self, id: u64) -> Option<Value> {
        self.account.subscriptions().get(&id.to_string()).cloned()
    }

    /// The bodies of every write that was done, in order.
    pub fn writes(&self) -> Vec<Value> {
        self.account.written().clone()
    }

    /// These faults, one a request.
    pub fn ask(&self, faults: impl IntoIterator<Item = Fault>) {
        self.account.faults.ask(faults);
    }

    /// As [`ask`](Self::ask), but after so many requests that nothing is wrong with.
    pub fn ask_after(&self, sound: usize, faults: impl IntoIterator<Item = Fault>) {
        self.account.faults.ask_after(sound, faults);
    }

    /// This fault at each request, until told otherwise.
    pub fn always(&self, fault: Option<Fault>) {
        self.account.faults.always(fault);
    }

    /// How many requests met a fault so far.
    pub fn faults_given(&self) -> u64 {
        self.account.faults.given()
    }

    /// How many faults are still to come; a fault at each request counts as one.
    pub fn faults_left(&self) -> usize {
        self.account.faults.left()
    }
}

impl Account {
    fn subscriptions(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
        self.subscriptions.lock().expect("no holder of this lock panics")
    }

    fn written(&self) -> MutexGuard<'_, Vec<Value>> {
        self.writes.lock().expect("no holder of this lock panics")
    }

    fn show(&self, query: &str) -> Answer {
        let id = query.split('&').find_map(|pair| pair.strip_prefix("id=")).unwrap_or_default();
        match self.subscriptions().get(id) {
            Some(subscription) => enveloped(200, true, subscription),
            None => enveloped(404, false, &json!("Subscription not found")),
        }
    }

    fn change(&self, body: &[u8]) -> Answer {
        let Ok(Value::Object(wish)) = serde_json::from_slice(body) else { return enveloped(400, false, &json!("Invalid JSON")) };
        if wish.get("action") != Some(&json!("edit")) {
            return enveloped(400, false, &json!("Unknown action"));
        }
        let mut subscriptions = self.subscriptions();
        let known = wish.get("id").and_then(|id| subscriptions.get_mut(&id.to_string()));
        let Some(Value::Object(subscription)) = known else { return enveloped(404, false, &json!("Subscription not found")) };
        if subscription.get("status") == Some(&json!("CANCELLED")) {
            // It refuses with status 200.
            return enveloped(200, false, &json!("Subscription is cancelled"));
        }
        subscription.extend(wish.iter().filter(|(name, _)| name.starts_with("s_")).map(|(name, value)| (name.clone(), value.clone())));
        self.written().push(wish.into());
        enveloped(200, true, &Value::Object(subscription.clone()))
    }
}

impl System for Account {
    fn answer(&self, asked: &Asked) -> Answer {
        if asked.header("x-seal-token") != Some(&self.token) {
            return self.refusal(401);
        }
        if let Err(wait) = self.limit.take() {
            return self.refusal(429).header("retry-after", wait.as_secs().max(1).to_string());
        }
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        match (asked.method.as_str(), path) {
            ("GET", "/shopify/merchant/api/subscription") => self.show(query),
            ("PUT", "/shopify/merchant/api/subscription") => self.change(&asked.body),
            _ => self.refusal(404),
        }
    }

    fn refusal(&self, status: u16) -> Answer {
        match status {
            500.. => Answer::new(status, "<html><body>Server Error</body></html>").header("content-type", "text/html"),
            _ => enveloped(status, false, &json!(if status == 401 { "Invalid token" } else { "Refused" })),
        }
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }
}

fn enveloped(status: u16, success: bool, payload: &Value) -> Answer {
    Answer::new(status, json!({ "success": success, "payload": payload }).to_string()).header("content-type", "application/json")
}
