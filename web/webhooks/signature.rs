//! HMAC-SHA256 signatures over raw bytes, as Shopify sends them.
//!
//! The header must be the standard, padded, canonical base64 of exactly 32
//! bytes. Nothing shorter is ever compared: a comparison that stops at the
//! shorter side accepts an empty signature.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::Secret;

/// Length of an encoded digest: 32 bytes in padded base64.
const ENCODED_LEN: usize = 44;

/// Checks signatures against the secrets that are valid now.
#[derive(Clone)]
pub struct Verifier {
    keys: Vec<Hmac<Sha256>>,
}

impl Verifier {
    /// Accepts what `current` signed and, while a rotation lasts, what
    /// `previous` signed.
    ///
    /// # Panics
    /// Never: HMAC takes a key of any length.
    pub fn new(current: &Secret, previous: Option<&Secret>) -> Self {
        let keys = std::iter::once(current)
            .chain(previous)
            .map(|secret| Hmac::new_from_slice(secret.expose()).expect("HMAC takes a key of any length"))
            .collect();
        Self { keys }
    }

    /// Whether `header` is the signature of exactly these bytes.
    ///
    /// Every key is tried, also after a match, and each comparison takes the
    /// same time whatever it finds.
    pub fn accepts(&self, body: &[u8], header: &[u8]) -> bool {
        decode(header).is_some_and(|digest| self.verify(&[body], &digest))
    }

    /// Whether `header` is the signature, in hexadecimal digits, of exactly these parts, one after the other.
    pub fn accepts_hex(&self, parts: &[&[u8]], header: &[u8]) -> bool {
        decode_hex(header).is_some_and(|digest| self.verify(parts, &digest))
    }

    fn verify(&self, parts: &[&[u8]], digest: &[u8; 32]) -> bool {
        self.keys.iter().fold(false, |accepted, key| {
            let mut mac = key.clone();
            for part in parts {
                mac.update(part);
            }
            mac.verify_slice(digest).is_ok() | accepted
        })
    }
}

fn decode_hex(header: &[u8]) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = header.try_into().ok()?;
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
        *byte = (high? * 16 + low?) as u8;
    }
    Some(digest)
}

fn decode(header: &[u8]) -> Option<[u8; 32]> {
    if header.len() != ENCODED_LEN {
        return None;
    }
    STANDARD.decode(header).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests;
