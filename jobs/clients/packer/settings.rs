//! Where the packer's drop is, and the keys to it.

use std::time::Duration;

use super::{
    super::{
        Secret,
        http::{Target, TargetError},
    },
    SYSTEM,
    sftp::{Address, Login},
};

/// Settings of the client.
#[derive(Clone, Default)]
pub struct Settings {
    /// The address of the drop, `https://…` or `sftp://user@host/folder`; without it nothing is sent.
    pub url: Option<String>,
    /// The token that lets us in; over SFTP, the password, where the packer gives no access by key.
    pub token: Option<Secret>,
    /// Over SFTP, the private key that lets us in, as OpenSSH writes it; a line break may be written as `\n`.
    pub key: Option<Secret>,
    /// Over SFTP, the keys by which the drop is known, as `ssh-ed25519 AAAA…`, divided by commas.
    pub host_key: Option<String>,
    /// How long a call may take; 15 s unless set.
    pub timeout: Option<Duration>,
}

/// Where the drop is, with what lets us in.
pub enum Place {
    /// A drop over HTTP and its token.
    Http(Target, Secret),
    /// A drop over SFTP.
    Sftp(Login),
}

impl Settings {
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> Self {
        let settings = Self {
            url: lookup("PACKER_DROP_URL"),
            token: lookup("PACKER_DROP_TOKEN").map(Secret::new),
            key: lookup("PACKER_DROP_KEY").map(Secret::new),
            host_key: lookup("PACKER_DROP_HOST_KEY"),
            timeout: None,
        };
        problems.extend(settings.token.as_ref().and_then(|token| token.problem("PACKER_DROP_TOKEN")));
        problems.extend(settings.missing());
        settings
    }

    fn is_sftp(&self) -> bool {
        self.url.as_ref().is_some_and(|url| url.starts_with("sftp:"))
    }

    /// What else must be set, or must not.
    fn missing(&self) -> Option<String> {
        let is_for_sftp = self.key.is_some() || self.host_key.is_some();
        let words = match self.url {
            None if self.token.is_some() => "PACKER_DROP_TOKEN is set, and PACKER_DROP_URL is not; expected https://… or sftp://…",
            None if is_for_sftp => "PACKER_DROP_KEY or PACKER_DROP_HOST_KEY is set, and PACKER_DROP_URL is not; expected sftp://…",
            Some(_) if self.is_sftp() && self.host_key.is_none() => {
                "PACKER_DROP_URL is set, and PACKER_DROP_HOST_KEY is not; it is the key by which the drop is known, as `ssh-keyscan` prints it"
            }
            Some(_) if self.is_sftp() && self.key.is_none() && self.token.is_none() => {
                "PACKER_DROP_URL is set, and neither PACKER_DROP_KEY, our private key, nor PACKER_DROP_TOKEN, a password, is"
            }
            Some(_) if !self.is_sftp() && self.token.is_none() => {
                "PACKER_DROP_URL is set, and PACKER_DROP_TOKEN is not; it is the packer's key for us"
            }
            Some(_) if !self.is_sftp() && is_for_sftp => {
                "PACKER_DROP_KEY and PACKER_DROP_HOST_KEY are for an address that begins with sftp://"
            }
            _ => return None,
        };
        Some(words.into())
    }

    /// Where the drop is; none while its address or what lets us in is missing.
    ///
    /// # Errors
    /// An address or a key that is none.
    pub fn place(&self) -> Result<Option<Place>, TargetError> {
        let Some(url) = &self.url else { return Ok(None) };
        if !self.is_sftp() {
            let target = Target::new(SYSTEM, url)?;
            return Ok(self.token.clone().map(|token| Place::Http(target, token)));
        }
        let address = Address::parse(url)?;
        let Some(host_key) = &self.host_key else { return Ok(None) };
        if self.key.is_none() && self.token.is_none() {
            return Ok(None);
        }
        Login::new(address, host_key, self.key.as_ref(), self.token.clone()).map(|login| Some(Place::Sftp(login)))
    }
}

#[cfg(test)]
mod tests;
