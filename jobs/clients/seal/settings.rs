//! Where Seal is, and the key to it.

use super::{
    super::{
        Secret,
        http::{Target, TargetError},
    },
    SYSTEM,
};

/// Seal's own address.
const URL: &str = "https://app.sealsubscriptions.com/shopify/merchant/api";

/// Settings of the client.
#[derive(Clone, Default)]
pub struct Settings {
    /// The API's token; without it nothing is called.
    pub token: Option<Secret>,
    /// The API in place of Seal's own, such as a sandbox's.
    pub url: Option<String>,
    /// Calls a second; 2 unless set. Seal does not say what it takes.
    pub per_second: Option<f64>,
}

impl Settings {
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> Self {
        let token = lookup("SEAL_API_TOKEN").map(Secret::new);
        problems.extend(token.as_ref().and_then(|token| token.problem("SEAL_API_TOKEN")));
        Self { token, url: lookup("SEAL_API_URL"), per_second: None }
    }

    /// Where the API is.
    pub(crate) fn target(&self) -> Result<Target, TargetError> {
        Target::new(SYSTEM, self.url.as_deref().unwrap_or(URL))
    }
}
