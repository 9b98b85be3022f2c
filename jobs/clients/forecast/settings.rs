//! Where forecasts come from, and the key to them.

use std::time::Duration;

use super::{
    super::{
        Secret,
        http::{Target, TargetError},
    },
    SYSTEM,
};

/// Where those who pay ask.
const PAID: &str = "https://customer-api.open-meteo.com";

/// Settings of the client.
#[derive(Clone, Default)]
pub struct Settings {
    /// The key of a paid account; a server of one's own needs none.
    pub key: Option<Secret>,
    /// Another address, such as a sandbox's or that of a server of one's own.
    pub url: Option<String>,
    /// How long a call may take; 5 s unless set.
    pub timeout: Option<Duration>,
    /// How long to wait before it is asked again; 20 s unless set.
    pub pause: Option<Duration>,
}

impl Settings {
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> Self {
        let key = lookup("FORECAST_API_KEY").map(Secret::new);
        problems.extend(key.as_ref().and_then(|key| key.problem("FORECAST_API_KEY")));
        Self { key, url: lookup("FORECAST_URL"), timeout: None, pause: None }
    }

    /// Where to ask; none without a key and an address.
    pub(crate) fn target(&self) -> Result<Option<Target>, TargetError> {
        let paid = || self.key.is_some().then(|| PAID.to_owned());
        self.url.clone().or_else(paid).map(|url| Target::new(SYSTEM, &url)).transpose()
    }
}
