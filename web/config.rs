//! What the HTTP process reads from its environment.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::Secret;
use crate::webhooks::signature::Verifier;

/// Where to listen unless told otherwise: this machine only.
const DEFAULT_BIND: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

const CUSTOMERIO_KEY: &str = "CUSTOMERIO_WEBHOOK_KEY";
const SEAL_KEY: &str = "SEAL_API_SECRET";
const COURIER_KEY: &str = "COURIER_WEBHOOK_SECRET";
const PACKER_KEY: &str = "PACKER_WEBHOOK_SECRET";

/// Settings of the HTTP process.
#[derive(Clone)]
pub struct Config {
    /// The address to listen on.
    pub bind: SocketAddr,
    /// The secret that Shopify signs with.
    pub shopify_secret: Secret,
    /// The secret before the last rotation, while deliveries may still use it.
    pub shopify_secret_previous: Option<Secret>,
    /// The shop whose deliveries are taken, as `name.myshopify.com`.
    pub shop_domain: String,
    /// What Customer.io signs its reports with.
    pub customerio: Keys,
    /// What Seal signs its webhooks with: the secret of its API.
    pub seal: Keys,
    /// What our couriers' adapters sign their events with.
    pub courier: Keys,
    /// What the packer's adapter signs its files with.
    pub packer: Keys,
}

/// The secrets of a source that need not be used.
#[derive(Clone, Default)]
pub struct Keys {
    /// The key that is valid now; without it the source's webhooks are not taken.
    pub current: Option<Secret>,
    /// The key before the last rotation, while webhooks may still use it.
    pub previous: Option<Secret>,
}

impl Keys {
    fn read(name: &str, lookup: impl Fn(&str) -> Option<String>) -> Self {
        Self { current: lookup(name).map(Secret::new), previous: lookup(&format!("{name}_PREVIOUS")).map(Secret::new) }
    }

    fn problems(&self, name: &str) -> Vec<String> {
        let current = self.current.as_ref().and_then(|key| key.problem(name));
        let previous = self.previous.as_ref().and_then(|key| key.problem(&format!("{name}_PREVIOUS")));
        current.into_iter().chain(previous).collect()
    }

    /// Checks what these keys sign; none without a key.
    pub(crate) fn verifier(&self) -> Option<Verifier> {
        self.current.as_ref().map(|key| Verifier::new(key, self.previous.as_ref()))
    }
}

/// Everything that is wrong with the settings, one sentence each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the settings of the web process are not usable:\n  {}", .problems.join("\n  "))]
pub struct ConfigError {
    /// The sentences, in the order of the settings.
    pub problems: Vec<String>,
}

impl Config {
    /// Reads the process environment.
    ///
    /// # Errors
    /// Every setting that is missing or not usable.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads settings by name; an empty value counts as absent.
    ///
    /// # Errors
    /// Every setting that is missing or not usable.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let lookup = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let mut problems = Vec::new();
        let config = Self {
            bind: address(lookup("BIND"), lookup("PORT")).unwrap_or_else(|problem| {
                problems.push(problem);
                DEFAULT_BIND
            }),
            shopify_secret: Secret::new(lookup("SHOPIFY_WEBHOOK_SECRET").unwrap_or_default()),
            shopify_secret_previous: lookup("SHOPIFY_WEBHOOK_SECRET_PREVIOUS").map(Secret::new),
            shop_domain: lookup("SHOPIFY_SHOP_DOMAIN").unwrap_or_default(),
            customerio: Keys::read(CUSTOMERIO_KEY, lookup),
            seal: Keys::read(SEAL_KEY, lookup),
            courier: Keys::read(COURIER_KEY, lookup),
            packer: Keys::read(PACKER_KEY, lookup),
        };
        problems.extend(config.problems());
        if problems.is_empty() { Ok(config) } else { Err(ConfigError { problems }) }
    }

    /// Checks settings that were put together in code.
    ///
    /// # Errors
    /// Every setting that is not usable.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let problems = self.problems();
        if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
    }

    fn problems(&self) -> Vec<String> {
        let secret = secret_problem("SHOPIFY_WEBHOOK_SECRET", &self.shopify_secret);
        let previous = self.shopify_secret_previous.as_ref().and_then(|secret| secret_problem("SHOPIFY_WEBHOOK_SECRET_PREVIOUS", secret));
        let shop = shop_problem(&self.shop_domain);
        let others = [(CUSTOMERIO_KEY, &self.customerio), (SEAL_KEY, &self.seal), (COURIER_KEY, &self.courier), (PACKER_KEY, &self.packer)];
        let others = others.into_iter().flat_map(|(name, keys)| keys.problems(name));
        [secret, previous, shop].into_iter().flatten().chain(others).collect()
    }
}

fn address(bind: Option<String>, port: Option<String>) -> Result<SocketAddr, String> {
    if let Some(port) = port {
        let port = port.parse().map_err(|_| format!("PORT is {port:?}; expected a number from 0 to 65535"))?;
        return Ok(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port));
    }
    let Some(bind) = bind else {
        return Ok(DEFAULT_BIND);
    };
    bind.parse().map_err(|_| format!("BIND is {bind:?}; expected address and port, as {DEFAULT_BIND}"))
}

fn secret_problem(name: &str, secret: &Secret) -> Option<String> {
    let bytes = secret.expose();
    if bytes.is_empty() {
        return Some(format!("{name} is not set; it is the app's client secret, shown in Shopify's settings of the app"));
    }
    (bytes != bytes.trim_ascii()).then(|| format!("{name} begins or ends with a space or line break; remove it"))
}

fn shop_problem(shop: &str) -> Option<String> {
    if shop.is_empty() {
        return Some("SHOPIFY_SHOP_DOMAIN is not set; expected a name like raw.myshopify.com".into());
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    (!shop.bytes().all(plain)).then(|| format!("SHOPIFY_SHOP_DOMAIN is {shop:?}; expected the bare name, like raw.myshopify.com"))
}

#[cfg(test)]
mod tests;
