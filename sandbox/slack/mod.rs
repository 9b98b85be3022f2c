//! Slack's incoming webhooks: one address a channel, a message a second, and their own words for what they refuse.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::front::{Answer, Asked, Fault, FaultRates, Faults, Front, Limit, System};

/// How the workspace behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The same seed gives the same faults.
    pub seed: u64,
    /// Its channels; each has a webhook of its own.
    pub channels: Vec<String>,
    /// Messages a second that one channel takes.
    pub per_second: f64,
    /// How many it takes at once before that.
    pub burst: f64,
    /// What goes wrong by chance.
    pub faults: FaultRates,
}

impl Options {
    /// A workspace without faults, which takes a message a second and channel.
    pub fn new<'a>(channels: impl IntoIterator<Item = &'a str>) -> Self {
        let channels = channels.into_iter().map(Into::into).collect();
        Self { seed: 1, channels, per_second: 1.0, burst: 5.0, faults: FaultRates::default() }
    }
}

/// A message that was taken.
#[derive(Debug, Clone)]
pub struct Message {
    /// The channel, without the `#`.
    pub channel: String,
    /// Its body.
    pub body: Value,
}

/// The workspace of a sandbox; a clone is the same one.
#[derive(Clone)]
pub struct Slack {
    workspace: Arc<Workspace>,
    url: String,
}

struct Workspace {
    limits: BTreeMap<String, Limit>,
    messages: Mutex<Vec<Message>>,
    faults: Faults,
}

impl Slack {
    /// Opens a workspace on a free port of this machine, until `shutdown`.
    ///
    /// # Errors
    /// When no port is to be had.
    pub async fn start(options: Options, shutdown: CancellationToken) -> io::Result<Self> {
        let limit = |channel: &String| (channel.clone(), Limit::new(options.per_second, options.burst));
        let workspace = Arc::new(Workspace {
            limits: options.channels.iter().map(limit).collect(),
            messages: Mutex::default(),
            faults: Faults::new(options.seed, options.faults),
        });
        let url = Front::start(Arc::clone(&workspace), shutdown).await?.url();
        Ok(Self { workspace, url })
    }

    /// The webhook of a channel.
    pub fn webhook(&self, channel: &str) -> String {
        format!("{}/services/TSANDBOX/BSANDBOX/{channel}", self.url)
    }

    /// Every message that was taken, in order.
    pub fn messages(&self) -> Vec<Message> {
        self.workspace.kept().clone()
    }

    /// These faults, one a request.
    pub fn ask(&self, faults: impl IntoIterator<Item = Fault>) {
        self.workspace.faults.ask(faults);
    }

    /// This fault at each request, until told otherwise.
    pub fn always(&self, fault: Option<Fault>) {
        self.workspace.faults.always(fault);
    }

    /// How many requests met a fault so far.
    pub fn faults_given(&self) -> u64 {
        self.workspace.faults.given()
    }

    /// How many faults are still to come; a fault at each request counts as one.
    pub fn faults_left(&self) -> usize {
        self.workspace.faults.left()
    }
}

impl Workspace {
    fn kept(&self) -> MutexGuard<'_, Vec<Message>> {
        self.messages.lock().expect("no holder of this lock panics")
    }
}

impl System for Workspace {
    fn answer(&self, asked: &Asked) -> Answer {
        let Some(channel) = asked.path.strip_prefix("/services/TSANDBOX/BSANDBOX/").filter(|_| asked.method == "POST") else {
            return self.refusal(404);
        };
        let Some(limit) = self.limits.get(channel) else { return self.refusal(404) };
        if let Err(wait) = limit.take() {
            return self.refusal(429).header("retry-after", wait.as_secs().max(1).to_string());
        }
        let Ok(body) = serde_json::from_slice::<Value>(&asked.body) else { return Answer::new(400, "invalid_payload") };
        if let Some(word) = fault_of(&body) {
            return Answer::new(400, word);
        }
        self.kept().push(Message { channel: channel.into(), body });
        Answer::new(200, "ok")
    }

    fn refusal(&self, status: u16) -> Answer {
        Answer::new(
            status,
            match status {
                400 => "invalid_payload",
                403 => "invalid_token",
                404 => "no_service",
                410 => "channel_is_archived",
                429 => "rate_limited",
                500 => "rollup_error",
                _ => "<!DOCTYPE html><html></html>",
            },
        )
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }
}

/// What Block Kit does not take.
fn fault_of(body: &Value) -> Option<&'static str> {
    let text = |value: &Value| value["text"].as_str().map_or(0, |text| text.chars().count());
    let no_blocks = Vec::new();
    let blocks = body["blocks"].as_array().unwrap_or(&no_blocks);
    if text(body) == 0 && blocks.is_empty() {
        return Some("no_text");
    }
    let is_wrong = |block: &Value| match block["type"].as_str() {
        Some("header") => block["text"]["type"] != "plain_text" || !(1..=150).contains(&text(&block["text"])),
        Some("section") => {
            let fields = block["fields"].as_array().map_or(&[][..], Vec::as_slice);
            let empty = block["text"].is_null() && fields.is_empty();
            empty || text(&block["text"]) > 3_000 || fields.len() > 10 || fields.iter().any(|field| text(field) > 2_000)
        }
        Some("context") => block["elements"].as_array().is_none_or(|elements| elements.is_empty() || elements.len() > 10),
        Some("divider") => false,
        _ => true,
    };
    (blocks.len() > 50 || blocks.iter().any(is_wrong)).then_some("invalid_blocks")
}
