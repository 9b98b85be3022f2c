//! Signatures of webhooks, in base64 as Shopify and Seal send them and in hexadecimal digits as the others do.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use web::{Secret, webhooks::signature::Verifier};

use crate::{Seen, Target, Verdict, input::parts, promise};

/// `body`, what comes in its place, how the header is written with `{}` for the signature, and changes of the header: pairs of
/// a place and what its byte is mixed with.
pub const SIGNATURE: Target = Target {
    name: "signature",
    promise: "a signature is accepted if, and only if, body and signature are byte for byte as signed",
    words: &["{}", "v1,{}", "v0:", "=", " {}", "{},{}", "\n"],
    check,
};

const KEYS: [&str; 2] = ["shpss_current", "shpss_previous"];

/// The digest that a key makes of a body.
pub fn digest(key: &str, body: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

/// In hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn check(input: &[u8]) -> Verdict {
    let [body, other, written, changes] = parts(input);
    let other = if other.is_empty() { body } else { other };
    let verifier = Verifier::new(&Secret::new(KEYS[0]), Some(&Secret::new(KEYS[1])));
    let mut taken = [false; 2];
    for (key, taken) in KEYS.into_iter().zip(&mut taken) {
        let digest = digest(key, body);
        let signature = STANDARD.encode(digest);
        let header = changed(written, &signature, changes);
        let as_signed = other == body && header == signature.as_bytes();
        promise(verifier.accepts(other, &header) == as_signed, || {
            format!("as signed is {as_signed}, and the answer is another: {:?} for {signature}", String::from_utf8_lossy(&header))
        })?;
        let digits = hex(&digest);
        let header = changed(written, &digits, changes);
        let as_signed_in_hex = other == body && header.eq_ignore_ascii_case(digits.as_bytes());
        let (first, second) = other.split_at(other.len() / 2);
        promise(verifier.accepts_hex(&[first, second], &header) == as_signed_in_hex, || {
            format!("in hex, as signed is {as_signed_in_hex}, and the answer is another: {:?}", String::from_utf8_lossy(&header))
        })?;
        *taken = as_signed || as_signed_in_hex;
    }
    if taken.contains(&true) {
        Ok(Seen::taken(other.len().min(3)))
    } else {
        Ok(Seen::refused(if other == body { "header" } else { "body" }))
    }
}

/// A header as it is written, with its changes.
fn changed(written: &[u8], signature: &str, changes: &[u8]) -> Vec<u8> {
    let written = if written.is_empty() { b"{}" } else { written };
    let mut header = Vec::new();
    let mut rest = written;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"{}") {
        header.extend_from_slice(&rest[..at]);
        header.extend_from_slice(signature.as_bytes());
        rest = &rest[at + 2..];
    }
    header.extend_from_slice(rest);
    for change in changes.chunks_exact(2) {
        let length = header.len().max(1);
        if let Some(byte) = header.get_mut(usize::from(change[0]) % length) {
            *byte ^= change[1];
        }
    }
    header
}
