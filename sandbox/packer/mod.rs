//! A packer who takes files of orders at a drop, says when he has read them, and lays out files of what has left.
//!
//! Over HTTP a file is kept under its name once: the same bytes again are known, others are refused. [`SftpDrop`] is the same
//! over SFTP.

mod sftp;

pub use sftp::{Mishap, SftpDrop};

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::Bytes;
use chrono::{DateTime, Utc};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::front::{Answer, Asked, Fault, FaultRates, Faults, Front, Limit, System};

/// How the packer behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The same seed gives the same faults.
    pub seed: u64,
    /// What lets callers in.
    pub token: String,
    /// Requests a second that he takes.
    pub per_second: f64,
    /// How often he is asked for a receipt before he has read the file.
    pub reads_after: u32,
    /// Whether he sends what he has read at once, and lays out a file that says so.
    pub sends_at_once: bool,
    /// What goes wrong by chance.
    pub faults: FaultRates,
}

impl Options {
    /// A packer without faults, who reads a file at once.
    pub fn new(token: &str) -> Self {
        Self { seed: 1, token: token.into(), per_second: 50.0, reads_after: 0, sends_at_once: false, faults: FaultRates::default() }
    }
}

/// A file that he has.
#[derive(Debug, Clone)]
pub struct Dropped {
    /// Its bytes.
    pub bytes: Bytes,
    /// Their SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// How often it was put there.
    pub puts: u32,
    /// How often its receipt was asked for.
    pub asked: u32,
}

/// The drop of a sandbox; a clone is the same one.
#[derive(Clone)]
pub struct Packer {
    house: Arc<House>,
    url: String,
}

struct House {
    options: Options,
    files: Mutex<BTreeMap<String, Dropped>>,
    laid_out: Mutex<BTreeMap<String, String>>,
    refuses: Mutex<Option<String>>,
    limit: Limit,
    faults: Faults,
}

impl Packer {
    /// Opens the drop on a free port of this machine, until `shutdown`.
    ///
    /// # Errors
    /// When no port is to be had.
    pub async fn start(options: Options, shutdown: CancellationToken) -> io::Result<Self> {
        let house = Arc::new(House {
            files: Mutex::default(),
            laid_out: Mutex::default(),
            refuses: Mutex::default(),
            limit: Limit::new(options.per_second, options.per_second.max(1.0)),
            faults: Faults::new(options.seed, options.faults),
            options,
        });
        let url = Front::start(Arc::clone(&house), shutdown).await?.url();
        Ok(Self { house, url })
    }

    /// Its address, as the base of calls.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Every file that he has, by name.
    pub fn files(&self) -> BTreeMap<String, Dropped> {
        self.house.files().clone()
    }

    /// The orders that he would pack, as often as files have them.
    pub fn orders(&self) -> Vec<String> {
        self.house.files().values().flat_map(|file| orders_of(&file.bytes)).collect()
    }

    /// He lays out a file of what has left.
    ///
    /// # Panics
    /// Never: no holder of the lock panics.
    pub fn lay_out(&self, name: &str, text: String) {
        self.house.laid_out.lock().expect("no holder of this lock panics").insert(name.to_owned(), text);
    }

    /// From now on he refuses what he reads, with these words.
    ///
    /// # Panics
    /// Never: no holder of the lock panics.
    pub fn refuse(&self, words: Option<&str>) {
        *self.house.refuses.lock().expect("no holder of this lock panics") = words.map(str::to_owned);
    }

    /// These faults, one a request.
    pub fn ask(&self, faults: impl IntoIterator<Item = Fault>) {
        self.house.faults.ask(faults);
    }

    /// As [`ask`](Self::ask), but after so many requests that nothing is wrong with.
    pub fn ask_after(&self, sound: usize, faults: impl IntoIterator<Item = Fault>) {
        self.house.faults.ask_after(sound, faults);
    }

    /// This fault at each request, until told otherwise.
    pub fn always(&self, fault: Option<Fault>) {
        self.house.faults.always(fault);
    }

    /// How many requests met a fault so far.
    pub fn faults_given(&self) -> u64 {
        self.house.faults.given()
    }

    /// How many faults are still to come; a fault at each request counts as one.
    pub fn faults_left(&self) -> usize {
        self.house.faults.left()
    }
}

impl System for House {
    fn answer(&self, asked: &Asked) -> Answer {
        if asked.header("authorization") != Some(&format!("Bearer {}", self.options.token)) {
            return self.refusal(401);
        }
        if let Err(wait) = self.limit.take() {
            return self.refusal(429).header("retry-after", wait.as_secs().max(1).to_string());
        }
        let segments: Vec<&str> = asked.path.trim_matches('/').split('/').collect();
        match (asked.method.as_str(), &segments[..]) {
            ("PUT", ["orders", name]) => self.put(name, asked),
            ("GET", ["orders", name, "receipt"]) => self.receipt(name),
            ("GET", ["dispatches"]) => self.list(),
            ("GET", ["dispatches", name]) => self.laid_out(name),
            _ => self.refusal(404),
        }
    }

    fn refusal(&self, status: u16) -> Answer {
        let words = match status {
            401 => "the token is not known",
            404 => "there is no such file",
            409 => "another file of this name is here",
            429 => "too many requests",
            500.. => return Answer::new(status, "<html><body>Bad Gateway</body></html>").header("content-type", "text/html"),
            _ => "refused",
        };
        answer(status, &json!({ "error": words }))
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }
}

impl House {
    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Dropped>> {
        self.files.lock().expect("no holder of this lock panics")
    }

    fn list(&self) -> Answer {
        let laid_out = self.laid_out.lock().expect("no holder of this lock panics");
        let files: Vec<_> = laid_out.iter().map(|(name, text)| json!({ "name": name, "sha256": hash(text.as_bytes()) })).collect();
        answer(200, &json!({ "files": files }))
    }

    fn laid_out(&self, name: &str) -> Answer {
        let laid_out = self.laid_out.lock().expect("no holder of this lock panics");
        match laid_out.get(&name.replace("%20", " ")) {
            Some(text) => Answer::new(200, text.as_str()).header("content-type", "text/csv"),
            None => self.refusal(404),
        }
    }

    fn put(&self, name: &str, asked: &Asked) -> Answer {
        let sha256 = hash(&asked.body);
        if asked.header("idempotency-key") != Some(&sha256) {
            return answer(400, &json!({ "error": "the bytes do not have the hash of Idempotency-Key" }));
        }
        let mut files = self.files();
        match files.get_mut(name) {
            Some(there) if there.sha256 == sha256 => {
                there.puts += 1;
                answer(200, &json!({ "sha256": sha256, "outcome": "known" }))
            }
            Some(_) => self.refusal(409),
            None => {
                files.insert(name.to_owned(), Dropped { bytes: asked.body.clone(), sha256: sha256.clone(), puts: 1, asked: 0 });
                answer(201, &json!({ "sha256": sha256, "outcome": "taken" }))
            }
        }
    }

    fn receipt(&self, name: &str) -> Answer {
        let mut files = self.files();
        let Some(file) = files.get_mut(name) else { return self.refusal(404) };
        file.asked += 1;
        if file.asked <= self.options.reads_after {
            return self.refusal(404);
        }
        if let Some(why) = &*self.refuses.lock().expect("no holder of this lock panics") {
            return answer(200, &json!({ "sha256": file.sha256, "state": "refused", "reason": why }));
        }
        if self.options.sends_at_once {
            let left = format!("left of {name}");
            let mut laid_out = self.laid_out.lock().expect("no holder of this lock panics");
            laid_out.entry(left).or_insert_with(|| what_left(&file.bytes, Utc::now()));
        }
        answer(200, &json!({ "sha256": file.sha256, "state": "read" }))
    }
}

/// A file that says of each order of another that it has left as a parcel of its own.
fn what_left(file: &[u8], at: DateTime<Utc>) -> String {
    let mut text = String::from("order_ref,tracking_no,dispatched_at\r\n");
    for order in orders_of(file) {
        let number = u64::from_str_radix(&hash(order.as_bytes())[..12], 16).unwrap_or_default() % 100_000_000_000;
        write!(text, "{order},155{number:011},{}\r\n", at.format("%Y-%m-%dT%H:%M:%SZ")).expect("a string takes what is written");
    }
    text
}

/// The orders of a file: the first field of every line that differs from the line before.
fn orders_of(file: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(file);
    let mut orders: Vec<String> = text.lines().skip(1).map(|line| line.split(',').next().unwrap_or_default().to_owned()).collect();
    orders.dedup();
    orders
}

/// The SHA-256 of a file, in hexadecimal digits.
fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes what is written");
        text
    })
}

fn answer(status: u16, body: &serde_json::Value) -> Answer {
    Answer::new(status, body.to_string()).header("content-type", "application/json")
}
