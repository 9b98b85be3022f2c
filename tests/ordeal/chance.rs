//! Chance that can be drawn again: every stream of a run follows from its seed.

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// What a stream is for: each has its own, so that one draw more in one of them moves nothing in the others.
#[derive(Debug, Clone, Copy)]
pub enum Purpose {
    /// What a producer enqueues.
    Producer,
    /// What strikes, and when.
    Nemesis,
    /// What operators do.
    Robot,
    /// What the shop sends.
    Shop,
    /// What two versions of the program make.
    Versions,
    /// What a producer of long transactions enqueues.
    Slow,
    /// Bad inputs.
    Inputs,
    /// What goes to the outside system.
    Mails,
    /// Which answers are lost on their way.
    Network,
    /// What calls an outside system.
    Calls,
    /// When operators do something with a schedule.
    Schedules,
    /// What workflows run again, and from where.
    Restarts,
}

/// The stream of one purpose at one place.
pub fn stream(seed: u64, purpose: Purpose, place: u64) -> StdRng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&place.to_le_bytes());
    key[16] = purpose as u8;
    StdRng::from_seed(key)
}

/// One of some choices, each as often as its weight says.
///
/// # Panics
/// When there are no choices.
pub fn weighted<T: Copy>(random: &mut StdRng, choices: &[(T, u32)]) -> T {
    let total: u32 = choices.iter().map(|(_, weight)| weight).sum();
    let mut drawn = random.random_range(0..total);
    for (choice, weight) in choices {
        if drawn < *weight {
            return *choice;
        }
        drawn -= weight;
    }
    unreachable!("the weights add up to their total")
}
