//! What everything in the company's past follows from: the seed, and how many orders came before it.

use rand::rngs::StdRng;
use uuid::Uuid;

use crate::chance::{scatter, stream};

/// What a stream of chance is for. The shop has the numbers below these.
#[derive(Debug, Clone, Copy)]
pub enum Theme {
    Day = 16,
    Customer,
    Subscription,
    Cycle,
    Order,
    Fate,
    Plan,
    Batch,
    Ticket,
    Money,
    Mail,
    Visit,
    Watch,
    Marketing,
    Chat,
}

/// The source of all chance and of every id.
#[derive(Debug, Clone, Copy)]
pub struct Draws {
    seed: u64,
}

impl Draws {
    /// Draws of a company of which `first` orders are told already.
    pub const fn new(seed: u64, first: u64) -> Self {
        Self { seed: if first == 0 { seed } else { scatter(seed ^ scatter(first)) } }
    }

    /// The stream of a theme at a place.
    pub fn stream(self, theme: Theme, place: u64) -> StdRng {
        stream(self.seed, place, theme as u8)
    }

    /// The id of a table's row number `place`.
    pub fn id(self, table: &str, place: u64) -> Uuid {
        let high = scatter(self.seed ^ fnv(table.as_bytes()));
        let (high, low) = (scatter(high ^ place), scatter(high.rotate_left(32).wrapping_add(place)));
        uuid::Builder::from_random_bytes(((u128::from(high) << 64) | u128::from(low)).to_be_bytes()).into_uuid()
    }

    /// A token that nobody guesses, as 32 hexadecimal digits: the digits of an id.
    pub fn token(self, table: &str, place: u64) -> String {
        self.id(table, place).simple().to_string()
    }
}

/// The hash FNV-1a.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_random_uuids_and_differ_by_seed_table_and_place() {
        let (one, other, later) = (Draws::new(1, 0), Draws::new(2, 0), Draws::new(1, 50));
        let ids = [one.id("a", 0), one.id("a", 1), one.id("b", 0), other.id("a", 0), later.id("a", 0)];
        assert!(ids.iter().all(|id| id.get_version_num() == 4 && id.get_variant() == uuid::Variant::RFC4122));
        assert!((1..5).all(|n| !ids[n..].contains(&ids[n - 1])), "{ids:?}");
        assert_eq!(one.id("a", 7), Draws::new(1, 0).id("a", 7));
    }
}
