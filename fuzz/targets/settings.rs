//! Settings, as an environment holds them.

use std::{collections::HashMap, fmt::Display};

use jobs::clients::{Outside, Settings};
use web::Config;

use crate::{Seen, Target, Verdict, promise};

/// Lines of a name, `=` and a value.
pub const READ: Target = Target {
    name: "settings",
    promise: "settings that are taken make clients; what is wrong is told by the setting's name and never with a secret",
    words: &[
        "SHOPIFY_WEBHOOK_SECRET=",
        "SHOPIFY_SHOP_DOMAIN=",
        "BIND=",
        "PORT=",
        "CUSTOMERIO_APP_KEY=",
        "CUSTOMERIO_REGION=",
        "CUSTOMERIO_APP_URL=",
        "SLACK_WEBHOOK_OPS_ALERTS=https://hooks.slack.com/services/",
        "WORKER_CONCURRENCY=",
        "WORKER_LEASE=",
        "30s",
        "sesame",
        "\n",
        "0",
        "-1",
        "https://",
        "http://127.0.0.1:9",
        "SHOPIFY_ADMIN_TOKEN=",
        "SEAL_API_TOKEN=",
    ],
    check,
};

/// Whoever writes it into a setting of a secret does not find it in a message.
const SECRET: &str = "sesame";

fn check(input: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(input);
    let values: HashMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let lookup = |name: &str| values.get(name).map(ToString::to_string);
    let mut wrong = Vec::new();
    let mut hear = |problem: Option<&dyn Display>| wrong.extend(problem.map(ToString::to_string));
    hear(Config::read(lookup).err().as_ref().map(|error| error as &dyn Display));
    hear(workers::worker::Config::read(lookup).err().as_ref().map(|error| error as &dyn Display));
    hear(workers::scheduler::Config::read(lookup).err().as_ref().map(|error| error as &dyn Display));
    match Settings::read(lookup) {
        Ok(settings) => drop(Outside::new(&settings).map_err(|error| format!("settings that were taken make no client: {error}"))?),
        Err(error) => hear(Some(&error)),
    }
    let is_secret = |name: &str| ["SECRET", "KEY", "TOKEN", "WEBHOOK"].iter().any(|word| name.contains(word));
    let hides_secret = values.iter().any(|(name, value)| is_secret(name) && value.contains(SECRET));
    let is_shown = |name: &str| !is_secret(name) && values.get(name).is_some_and(|value| value.contains(SECRET));
    let elsewhere = values.keys().any(|name| is_shown(name));
    for words in &wrong {
        promise(!words.trim().is_empty(), || "wrong without a word".into())?;
        promise(!hides_secret || elsewhere || !words.contains(SECRET), || format!("a secret is shown: {words}"))?;
    }
    if wrong.is_empty() { Ok(Seen::taken(values.len().min(5))) } else { Ok(Seen::refused(&wrong.join(" "))) }
}
