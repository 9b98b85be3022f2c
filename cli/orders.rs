//! `rawops orders`: what a person says of an order.

use std::process::ExitCode;

use serde_json::json;

use crate::{
    database::with_pool,
    jobs::who,
    logging,
    output::{self, Format},
};

/// What can be said of orders.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// The packer did not send an order that Shopify ended when he had it: it is cancelled, and its stock comes back
    Stopped {
        /// The order, as the packer or the shop calls it, such as PR#1001 or #1001
        order: String,
        #[command(flatten)]
        format: Format,
    },
}

pub async fn run(url: Option<&str>, command: Command) -> anyhow::Result<ExitCode> {
    logging::start("error")?;
    let Command::Stopped { order, format } = command;
    let is_news = with_pool(url, async |pool| Ok(::jobs::export::resolve_stopped_order(pool, &order, &who()).await?)).await?;
    if format.json {
        output::json(&json!({ "order": order, "status": "ended", "before": !is_news }))?;
    } else if is_news {
        output::print(format!("order {order} was not sent: it has ended and its stock is back"))?;
    } else {
        output::print(format!("order {order} had been stopped before"))?;
    }
    Ok(ExitCode::SUCCESS)
}
