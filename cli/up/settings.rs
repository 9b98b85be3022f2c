//! What `up` reads from the environment: the settings of all three processes, and a shop of its own where there is none.

use std::{
    fmt::Write,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::bail;
use rand::RngExt;
use workers::{scheduler, web, worker};

/// The sandbox shop's name.
pub const SHOP: &str = "raw-sandbox.myshopify.com";

/// Settings of the house.
pub struct Settings {
    pub web: web::Config,
    pub worker: worker::Config,
    pub scheduler: scheduler::Config,
    /// The secret of the sandbox shop; `None` with a real shop.
    pub shop: Option<String>,
}

impl Settings {
    /// Reads the environment. Without `SHOPIFY_WEBHOOK_SECRET` the shop is the sandbox's, with a secret made for this run.
    pub fn read(args: &super::Args) -> anyhow::Result<Self> {
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let shop = env("SHOPIFY_WEBHOOK_SECRET").is_none().then(fresh_secret);
        if shop.is_none() && (args.orders.is_some() || args.until_orders.is_some()) {
            bail!("the sandbox shop is off because SHOPIFY_WEBHOOK_SECRET is set: unset it, or leave --orders and --until-orders out");
        }
        if args.sftp && (shop.is_none() || env("PACKER_DROP_URL").is_some()) {
            let set = if shop.is_none() { "SHOPIFY_WEBHOOK_SECRET" } else { "PACKER_DROP_URL" };
            bail!("the sandbox's packer is off because {set} is set: unset it, or leave --sftp out");
        }
        let web = web::Config::read(|name| match (name, &shop) {
            ("SHOPIFY_WEBHOOK_SECRET", Some(secret)) => Some(secret.clone()),
            ("SHOPIFY_WEBHOOK_SECRET_PREVIOUS", Some(_)) => None,
            ("SHOPIFY_SHOP_DOMAIN", Some(_)) => Some(SHOP.into()),
            _ => env(name),
        })?;
        Ok(Self { web, worker: worker::Config::read(env)?, scheduler: scheduler::Config::read(env)?, shop })
    }
}

/// A key that nobody else has.
pub fn fresh_secret() -> String {
    let bytes: [u8; 32] = rand::rng().random();
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes what is written");
        text
    })
}

/// Where a program on this machine reaches a socket that listens on `address`.
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    address
}

/// Orders a second as typed.
pub fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| *rate > 0.0 && *rate <= 10_000.0);
    rate.ok_or_else(|| "the rate is a number above 0, up to 10000 orders a second".to_string())
}

/// A time span as typed.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "a duration is a number with its unit, such as 30s or 5m".to_string())
}
