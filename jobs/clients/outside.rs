//! Every outside system, as the environment describes them.
//!
//! A system whose keys are not set is there all the same: its calls fail without being made, and the failure names the
//! setting. A worker that never sends a mail needs no key for it.

use std::fmt;

use super::{
    customerio::{self, CustomerIo},
    forecast::{self, Forecast},
    http::{ClientError, TargetError},
    packer::{self, Packer},
    seal::{self, Seal},
    shopify::{self, Shopify},
    slack::{self, Slack},
};

/// What a worker hands to its jobs: a client of each outside system. A clone shares the connections.
#[derive(Clone)]
pub struct Outside {
    /// Mails and events.
    pub customerio: CustomerIo,
    /// The weather.
    pub forecast: Forecast,
    /// The packer's drop.
    pub packer: Packer,
    /// Subscriptions.
    pub seal: Seal,
    /// Alerts.
    pub slack: Slack,
    /// The shop.
    pub shopify: Shopify,
}

/// Where the systems are, and the keys to them.
#[derive(Clone, Default)]
pub struct Settings {
    /// Customer.io.
    pub customerio: customerio::Settings,
    /// The weather.
    pub forecast: forecast::Settings,
    /// The packer's drop.
    pub packer: packer::Settings,
    /// Seal.
    pub seal: seal::Settings,
    /// Slack.
    pub slack: slack::Settings,
    /// Shopify.
    pub shopify: shopify::Settings,
}

impl fmt::Debug for Settings {
    /// Keys are not shown, nor which are set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings of outside systems")
    }
}

/// Everything that is wrong with the settings, one sentence each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct SettingsError(pub Vec<String>);

impl Settings {
    /// Reads settings by name; an empty value counts as absent.
    ///
    /// # Errors
    /// Every setting that is not usable.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let lookup = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let mut problems = Vec::new();
        let settings = Self {
            customerio: customerio::Settings::read(lookup, &mut problems),
            forecast: forecast::Settings::read(lookup, &mut problems),
            packer: packer::Settings::read(lookup, &mut problems),
            seal: seal::Settings::read(lookup, &mut problems),
            slack: slack::Settings::read(lookup, &mut problems),
            shopify: shopify::Settings::read(lookup, &mut problems),
        };
        // What can only be found out by putting the clients together.
        if let Err(error) = settings.customerio.targets() {
            problems.push(error.to_string());
        }
        problems.extend(settings.forecast.target().err().map(|error| error.to_string()));
        problems.extend(settings.packer.place().err().map(|error| error.to_string()));
        problems.extend(settings.seal.target().err().map(|error| error.to_string()));
        problems.extend(settings.slack.targets().err().map(|error| error.to_string()));
        problems.extend(settings.shopify.target().err().map(|error| error.to_string()));
        if problems.is_empty() { Ok(settings) } else { Err(SettingsError(problems)) }
    }
}

/// Why there are no clients.
#[derive(Debug, thiserror::Error)]
pub enum OutsideError {
    /// An address is none.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// No HTTP client can be had.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Outside {
    /// A client of each system.
    ///
    /// # Errors
    /// An address that is none, or TLS that cannot be set up.
    pub fn new(settings: &Settings) -> Result<Self, OutsideError> {
        Ok(Self {
            customerio: CustomerIo::new(&settings.customerio)?,
            forecast: Forecast::new(&settings.forecast)?,
            packer: Packer::new(&settings.packer)?,
            seal: Seal::new(&settings.seal)?,
            slack: Slack::new(&settings.slack)?,
            shopify: Shopify::new(&settings.shopify)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::read(|name| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn nothing_need_be_set() {
        assert!(Outside::new(&read(&[]).expect("no setting is wrong")).is_ok());
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once_without_the_keys() {
        let wrong = read(&[
            ("CUSTOMERIO_REGION", "mars"),
            ("CUSTOMERIO_APP_KEY", "hidden\n"),
            ("CUSTOMERIO_TRACK_URL", "http://track.customer.io"),
            ("SLACK_WEBHOOK_OPS_URGENT", "https://example.com/services/hidden"),
            ("SHOPIFY_ADMIN_TOKEN", "hidden"),
        ]);
        let problems = wrong.expect_err("five settings are wrong").0;
        assert_eq!(problems.len(), 5, "{problems:?}");
        let names = ["CUSTOMERIO_REGION", "CUSTOMERIO_APP_KEY", "SHOPIFY_ADMIN_TOKEN", "Customer.io", "SLACK_WEBHOOK_OPS_URGENT"];
        for (place, name) in names.into_iter().enumerate() {
            assert!(problems[place].contains(name), "{name}: {problems:?}");
        }
        assert!(!problems.concat().contains("hidden"), "{problems:?}");
    }
}
