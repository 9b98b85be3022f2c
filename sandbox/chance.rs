//! Chance that can be drawn again: every stream follows from a seed.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// The stream of one purpose at one place. Each has its own, so that one draw more in one of them moves nothing in
/// the others.
pub fn stream(seed: u64, place: u64, purpose: u8) -> StdRng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&place.to_le_bytes());
    key[16] = purpose;
    StdRng::from_seed(key)
}

/// A number that looks drawn and follows from another: the finisher of splitmix64, a bijection.
pub const fn scatter(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
