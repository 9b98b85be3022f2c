//! Where the calls of one outside system may go.

use std::net::IpAddr;

use url::{Host, Url};

use super::guard::is_public;

/// One outside system: its base address, and the hosts that it may redirect to.
#[derive(Debug, Clone)]
pub struct Target {
    system: &'static str,
    base: Url,
    family: Option<&'static str>,
    origins: Vec<String>,
}

/// Why an address is no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TargetError(String);

impl TargetError {
    /// With these words, which hold no key.
    pub fn of(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

impl Target {
    /// A system at this address. Plain `http` is for a sandbox on this machine only.
    ///
    /// # Errors
    /// When the address is no web address, or would send keys over an open network.
    pub fn new(system: &'static str, base: &str) -> Result<Self, TargetError> {
        let wrong = |why: &str| TargetError(format!("the address of {system} {why}"));
        let mut base = Url::parse(base).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
        let host = base.host().ok_or_else(|| wrong("names no host"))?;
        if !base.username().is_empty() || base.password().is_some() {
            return Err(wrong("holds a user name or password: keys have settings of their own"));
        }
        match base.scheme() {
            "https" => (),
            "http" if is_this_machine(&host) => (),
            "http" => return Err(wrong("begins with http://, which is for a sandbox on this machine: use https://")),
            _ => return Err(wrong("begins with neither https:// nor http://")),
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Ok(Self { system, base, family: None, origins: Vec::new() })
    }

    /// May redirect to any host under this domain.
    #[must_use]
    pub const fn family(mut self, domain: &'static str) -> Self {
        self.family = Some(domain);
        self
    }

    /// May redirect to this origin too, as `http://127.0.0.1:9000`.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// The system's name, in messages.
    pub const fn system(&self) -> &'static str {
        self.system
    }

    /// The address of a path; segments are encoded, so that one cannot become two.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut().expect("a web address has a path").pop_if_empty().extend(segments);
        url
    }

    /// Whether a redirect may lead there, with the credentials.
    pub fn allows(&self, url: &Url) -> bool {
        if url.origin() == self.base.origin() {
            return true;
        }
        let of_family = || {
            let (Some(domain), Some(Host::Domain(host))) = (self.family, url.host()) else { return false };
            let under = host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            under && url.scheme() == "https" && url.port().is_none()
        };
        of_family() || self.origins.iter().any(|origin| url.origin().ascii_serialization() == *origin)
    }

    /// Whether the address is one that may be called: no address of a private network, unless it is the configured one.
    /// Names are checked once more when they are resolved.
    pub fn reaches_private(&self, url: &Url) -> bool {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            _ => return false,
        };
        !is_public(address) && url.origin() != self.base.origin() && !self.origins.contains(&url.origin().ascii_serialization())
    }

    /// The host that may be in a private network, because the settings name it.
    pub(super) fn private_host(&self) -> Option<String> {
        match self.base.host() {
            Some(Host::Domain("localhost")) => Some("localhost".into()),
            _ => None,
        }
    }
}

fn is_this_machine(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(target: &Target, url: &str) -> bool {
        target.allows(&Url::parse(url).expect("an address"))
    }

    #[test]
    fn keys_are_not_sent_over_an_open_network() {
        for address in ["http://track.customer.io", "ftp://x.io", "https://user:pass@x.io", "no address", "file:///etc/passwd"] {
            assert!(Target::new("x", address).is_err(), "{address}");
        }
        for address in ["https://track.customer.io", "http://127.0.0.1:9", "http://localhost:1/base", "http://[::1]:2"] {
            assert!(Target::new("x", address).is_ok(), "{address}");
        }
    }

    #[test]
    fn a_segment_stays_one_segment() {
        let target = Target::new("x", "https://api.customer.io/v1").expect("a target");
        assert_eq!(target.url(&["send", "email"]).as_str(), "https://api.customer.io/v1/send/email");
        assert_eq!(
            target.url(&["customers", "a+b@c.de/../x?y#z"]).as_str(),
            "https://api.customer.io/v1/customers/a+b@c.de%2F..%2Fx%3Fy%23z"
        );
    }

    #[test]
    fn redirects_stay_in_the_family() {
        let target = Target::new("x", "https://track.customer.io").expect("a target").family("customer.io");
        for inside in ["https://track-eu.customer.io/api", "https://customer.io/", "https://track.customer.io/y"] {
            assert!(allows(&target, inside), "{inside}");
        }
        for outside in [
            "http://track-eu.customer.io/",
            "https://evilcustomer.io/",
            "https://customer.io.evil.com/",
            "https://track-eu.customer.io:8443/",
            "https://10.0.0.1/",
            "https://track.customer.io@evil.com/",
        ] {
            assert!(!allows(&target, outside), "{outside}");
        }
    }

    #[test]
    fn only_the_configured_address_may_be_private() {
        let target = Target::new("x", "http://127.0.0.1:9000").expect("a target");
        let private = |url: &str| target.reaches_private(&Url::parse(url).expect("an address"));
        assert!(!private("http://127.0.0.1:9000/y"));
        assert!(private("http://127.0.0.1:9001/y"));
        assert!(private("http://169.254.169.254/latest"));
        assert!(private("http://0x7f.1/"), "an address in another spelling");
        assert!(!private("https://1.1.1.1/"));
    }
}
