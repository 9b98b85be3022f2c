//! What namespaces and wires of a process are called, and the addresses on a wire: no two ordeals have one in common.

use std::net::Ipv4Addr;

/// What the name of every namespace begins with.
const PREFIX: &str = "ordeal-";
/// The kernel takes no longer name of a link.
const LONGEST_LINK: usize = 15;
/// Addresses for tests of networks, which no real network has (RFC 2544).
const RANGE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
const RANGE_BITS: u32 = 15;
/// How much of an address is the same on one wire.
pub const BITS: u32 = 29;
/// How many wires the range has.
const WIRES: u32 = 1 << (BITS - RANGE_BITS);
/// So many wires of a process lie beside each other before those of the next begin.
const OF_PROCESS: u32 = 16;

/// All addresses of wires, as `pg_hba.conf` has them.
pub fn range() -> String {
    format!("{RANGE}/{RANGE_BITS}")
}

/// The name of a process's namespace.
pub fn namespace(pid: u32, place: u32) -> String {
    format!("{PREFIX}{pid}-{place}")
}

/// The name of the supervisor's end of its wire.
pub fn link(pid: u32, place: u32) -> String {
    let name = format!("ord{pid}-{place}");
    debug_assert!(name.len() <= LONGEST_LINK, "{name} is too long");
    name
}

/// The process that made a namespace; `None` when it was none of an ordeal.
pub fn maker(namespace: &str) -> Option<u32> {
    let (pid, place) = namespace.strip_prefix(PREFIX)?.split_once('-')?;
    place.parse::<u32>().ok()?;
    pid.parse().ok()
}

/// The addresses of one wire: two for servers, of which one is the primary, and one for the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire(u32);

impl Wire {
    /// The wires that a process may use for a namespace, the first choice first.
    pub fn choices(pid: u32, place: u32) -> impl Iterator<Item = Self> {
        let first = pid.wrapping_mul(OF_PROCESS).wrapping_add(place);
        (0..WIRES).map(move |further| Self(first.wrapping_add(further) % WIRES))
    }

    fn address(self, host: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(RANGE.to_bits() + (self.0 << (32 - BITS)) + host)
    }

    /// All of its addresses, as `ip` has them.
    pub fn net(self) -> String {
        format!("{}/{BITS}", self.address(0))
    }

    /// Where servers listen: every other one here, so that a standby never meets its primary.
    pub fn servers(self) -> [Ipv4Addr; 2] {
        [self.address(1), self.address(2)]
    }

    /// The worker's own.
    pub fn worker(self) -> Ipv4Addr {
        self.address(3)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_say_whose_they_are_and_fit() {
        assert_eq!(maker(&namespace(4_194_304, 7)), Some(4_194_304));
        for foreign in ["ordeal-", "ordeal-x-1", "ordeal-17", "ordeal-17-", "ordeal-17-old", "cni-17-1", "17-1"] {
            assert_eq!(maker(foreign), None, "{foreign}");
        }
        assert!(link(4_194_304, 9999).len() <= LONGEST_LINK);
    }

    #[test]
    fn no_two_wires_share_an_address_and_all_are_within_the_range() {
        let wires: Vec<Wire> = Wire::choices(4_194_304, 3).collect();
        let addresses: BTreeSet<Ipv4Addr> = wires.iter().flat_map(|wire| [wire.servers()[0], wire.servers()[1], wire.worker()]).collect();
        assert_eq!(addresses.len(), wires.len() * 3);
        assert!(addresses.iter().all(|address| address.octets()[0] == 198 && matches!(address.octets()[1], 18 | 19)), "{addresses:?}");
        assert_eq!(range(), "198.18.0.0/15");
        let first = Wire::choices(1, 0).next().expect("there are some");
        assert_eq!((first.net().as_str(), first.worker().to_string().as_str()), ("198.18.0.128/29", "198.18.0.131"));
    }

    #[test]
    fn processes_beside_each_other_begin_at_different_wires() {
        let first = |pid: u32, place: u32| Wire::choices(pid, place).next().expect("there are some");
        let firsts: Vec<Wire> = (100..140).flat_map(|pid| (0..OF_PROCESS).map(move |place| first(pid, place))).collect();
        let distinct: BTreeSet<u32> = firsts.iter().map(|wire| wire.0).collect();
        assert_eq!(distinct.len(), firsts.len());
    }
}
