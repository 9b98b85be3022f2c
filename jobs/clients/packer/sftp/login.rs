//! Where a drop over SFTP is, by which key it is known, and what lets us in.

use std::{io, net::IpAddr, net::SocketAddr, sync::Arc};

use russh::keys::{PrivateKey, PublicKey};
use url::Url;

use super::super::{
    super::{
        Secret,
        http::{TargetError, is_public},
    },
    SYSTEM,
};

/// The port where nothing is said.
const PORT: u16 = 22;

/// A folder of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
    /// As whom we come.
    pub(super) user: String,
    /// From the root on, without a slash at its end.
    pub(super) folder: String,
}

impl Address {
    /// Reads `sftp://user@host:port/folder`.
    pub(in super::super) fn parse(url: &str) -> Result<Self, TargetError> {
        let wrong = |why: &str| TargetError::of(format!("the address of {SYSTEM}, PACKER_DROP_URL, {why}"));
        let url = Url::parse(url).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
        if url.password().is_some() {
            return Err(wrong("holds a password: PACKER_DROP_TOKEN is its setting"));
        }
        if url.username().is_empty() {
            return Err(wrong("names no user; expected sftp://user@host/folder"));
        }
        if url.query().is_some() || url.fragment().is_some() || url.username().contains('%') || url.path().contains('%') {
            return Err(wrong("holds a ?, # or %, which names of users and folders do not have here"));
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("names no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let folder = url.path().trim_end_matches('/').to_owned();
        Ok(Self { host, port: url.port().unwrap_or(PORT), user: url.username().to_owned(), folder })
    }

    /// Where to connect to: what a name resolves to is used only where it is public, as with calls over HTTP.
    pub(super) async fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(vec![(address, self.port).into()]);
        }
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await?;
        let reachable: Vec<_> = found.filter(|address| self.host == "localhost" || is_public(address.ip())).collect();
        if reachable.is_empty() {
            return Err(io::Error::other(format!("{} has no public address", self.host)));
        }
        Ok(reachable)
    }
}

/// What it takes to come in.
#[derive(Clone)]
pub struct Login {
    pub(in super::super) address: Address,
    /// One of which the drop must show.
    pub(in super::super) host_keys: Vec<PublicKey>,
    pub(in super::super) key: Option<Arc<PrivateKey>>,
    pub(in super::super) password: Option<Secret>,
}

impl Login {
    /// With the settings' texts of the keys.
    pub(in super::super) fn new(
        address: Address,
        host_key: &str,
        key: Option<&Secret>,
        password: Option<Secret>,
    ) -> Result<Self, TargetError> {
        let host_keys = host_key.split(',').map(str::trim).filter(|text| !text.is_empty()).map(public).collect::<Result<Vec<_>, _>>()?;
        if host_keys.is_empty() {
            return Err(TargetError::of("PACKER_DROP_HOST_KEY holds no key"));
        }
        let key = key.map(private).transpose()?.map(Arc::new);
        Ok(Self { address, host_keys, key, password })
    }
}

/// A public key, also as a line of `ssh-keyscan`, which begins with the host.
fn public(text: &str) -> Result<PublicKey, TargetError> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let key = match words[..] {
        [_, kind, key] if !kind.starts_with("AAAA") && key.starts_with("AAAA") => format!("{kind} {key}"),
        _ => words.join(" "),
    };
    let read = PublicKey::from_openssh(&key).ok().filter(|key| !key.algorithm().is_rsa());
    read.ok_or_else(|| TargetError::of("PACKER_DROP_HOST_KEY is no public key; expected ssh-ed25519 AAAA… or ecdsa-sha2-nistp256 AAAA…"))
}

/// A private key. Nothing of it is in an error.
fn private(key: &Secret) -> Result<PrivateKey, TargetError> {
    let text = format!("{}\n", key.text().replace("\\n", "\n").trim());
    let key = PrivateKey::from_openssh(text).map_err(|_| {
        TargetError::of("PACKER_DROP_KEY is no private key; expected the text of a file that `ssh-keygen -t ed25519` wrote")
    })?;
    if key.is_encrypted() {
        return Err(TargetError::of("PACKER_DROP_KEY is encrypted: take the passphrase off it, with `ssh-keygen -p`"));
    }
    if key.algorithm().is_rsa() {
        return Err(TargetError::of("PACKER_DROP_KEY is an RSA key, which is not used: make one with `ssh-keygen -t ed25519`"));
    }
    Ok(key)
}
