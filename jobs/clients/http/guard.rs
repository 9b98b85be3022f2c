//! Keeps calls out of private networks, whatever a name resolves to.
//!
//! What is special is said by IANA's registries of special-purpose addresses; `fuzz/targets/outside.rs` says it a second time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Whether an address belongs to the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && b & 0xfe == 18)
        || a >= 224;
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // An address of the old internet in one of the new: mapped, translated (64:ff9b::), or 6to4.
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let low = || Ipv4Addr::from((u32::from(segments[6]) << 16) | u32::from(segments[7]));
    match segments {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => return is_public_v4(low()),
        [0x2002, high, next, ..] => return is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(next))),
        [0, 0, 0, 0, 0, 0, ..] => return false,
        _ => (),
    }
    // What is given out lies in 2000::/3; local, site, link, multicast and all else does not.
    // Of it, protocols and documents have 2001::/23, 2001:db8::/32 and 3fff::/20.
    let is_special = match segments {
        [0x2001, next, ..] => next == 0xdb8 || next < 0x200,
        [0x3fff, next, ..] => next < 0x1000,
        _ => false,
    };
    segments[0] & 0xe000 == 0x2000 && !is_special
}

/// Resolves names as the system does, and leaves out what is not public.
pub(super) struct Guard {
    /// The name that the settings allow to be anywhere.
    pub private_host: Option<String>,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let may_be_private = self.private_host.as_deref() == Some(name.as_str());
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let reachable: Vec<SocketAddr> = found.into_iter().filter(|address| may_be_private || is_public(address.ip())).collect();
            if reachable.is_empty() {
                return Err(format!("{} has no public address", name.as_str()).into());
            }
            Ok(Box::new(reachable.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_private_networks_are_told_apart_in_every_spelling() {
        for private in [
            "10.1.2.3",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.0.1",
            "192.168.0.1",
            "100.64.0.1",
            "0.0.0.0",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.170",
            "192.88.99.1",
            "203.0.113.9",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "3fff::1",
        ] {
            assert!(!is_public(private.parse().expect("an address")), "{private}");
        }
        for public in ["1.1.1.1", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2a00:1450::1"] {
            assert!(is_public(public.parse().expect("an address")), "{public}");
        }
    }

    #[tokio::test]
    async fn a_name_of_this_machine_resolves_only_where_the_settings_name_it() {
        let resolve = async |private_host: Option<&str>| {
            let guard = Guard { private_host: private_host.map(Into::into) };
            guard.resolve("localhost".parse().expect("a name")).await.map(Iterator::count).map_err(|error| error.to_string())
        };
        assert_eq!(resolve(None).await, Err("localhost has no public address".into()));
        assert!(resolve(Some("localhost")).await.is_ok_and(|found| found > 0));
    }
}
