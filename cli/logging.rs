//! The log, on standard error.

use anyhow::Context;
use tracing_subscriber::EnvFilter;

/// Starts the log. `RAWOPS_LOG`, else `RUST_LOG`, says what is kept; `default` when neither does. It is lines for people, or
/// JSON with `RAWOPS_LOG_FORMAT=json`.
pub fn start(default: &str) -> anyhow::Result<()> {
    let wanted = ["RAWOPS_LOG", "RUST_LOG"].into_iter().find_map(|name| Some((name, set(name)?)));
    let filter = match wanted {
        Some((name, text)) => {
            EnvFilter::try_new(&text).with_context(|| format!("{name} is {text:?}; expected a filter such as info,sqlx=warn"))?
        }
        None => EnvFilter::new(default),
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match set("RAWOPS_LOG_FORMAT").as_deref() {
        None | Some("human") => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).with_target(false).init(),
        Some("json") => log.json().flatten_event(true).init(),
        Some(other) => anyhow::bail!("RAWOPS_LOG_FORMAT is {other:?}; expected json or human"),
    }
    Ok(())
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
