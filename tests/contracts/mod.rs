//! The clients and the sandboxes against what the vendors themselves say and send: `../shared/fixtures`, where it is there.

mod customerio;
mod slack;

use std::path::Path;

use serde_json::Value;

/// A document of the vendors'; `None` where the folder is not there, as in a checkout of this repository alone.
fn fixture(name: &str) -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures").join(name);
    let text = std::fs::read_to_string(&path).ok()?;
    Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}
