//! Where the packer's drop is, and the key to it.

use std::time::Duration;

use super::{
    super::{
        Secret,
        http::{Target, TargetError},
    },
    SYSTEM,
};

/// Settings of the client.
#[derive(Clone, Default)]
pub struct Settings {
    /// The address of the drop; without it nothing is sent.
    pub url: Option<String>,
    /// The token that lets us in.
    pub token: Option<Secret>,
    /// How long a call may take; 15 s unless set.
    pub timeout: Option<Duration>,
}

impl Settings {
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> Self {
        let settings = Self { url: lookup("PACKER_DROP_URL"), token: lookup("PACKER_DROP_TOKEN").map(Secret::new), timeout: None };
        problems.extend(settings.token.as_ref().and_then(|token| token.problem("PACKER_DROP_TOKEN")));
        match (&settings.url, &settings.token) {
            (Some(_), None) => problems.push("PACKER_DROP_URL is set, and PACKER_DROP_TOKEN is not; it is the packer's key for us".into()),
            (None, Some(_)) => problems.push("PACKER_DROP_TOKEN is set, and PACKER_DROP_URL is not; expected https://…".into()),
            _ => (),
        }
        settings
    }

    /// Where the drop is; none without its address.
    pub(crate) fn target(&self) -> Result<Option<Target>, TargetError> {
        self.url.as_ref().map(|url| Target::new(SYSTEM, url)).transpose()
    }
}
