//! Signed webhooks, changed a little: they are accepted if, and only if, body and signature are byte for byte as signed.

use rand::{RngExt, rngs::StdRng};
use sandbox::shopify::sign;
use web::{
    Secret,
    webhooks::{jsonb, signature::Verifier},
};

use super::{Counts, Wrong};
use crate::{
    chance::{Purpose, stream},
    process::child::SECRET,
    workload::shop::{DISORDER, shop},
};

/// Tries so many changed webhooks; those that had come out as they were are taken.
///
/// # Errors
/// The first that was accepted though something was changed, or refused though nothing was.
pub fn mutate(seed: u64, times: u64) -> Result<Counts, Wrong> {
    let mut random = stream(seed, Purpose::Shop, 1);
    let verifier = Verifier::new(&Secret::new(SECRET), None);
    let shop = shop(seed);
    let documents: Vec<_> = (0..40).map(|order| shop.deliveries(order, &DISORDER).swap_remove(0).body).collect();
    let mut counts = Counts::default();
    for n in 0..times {
        let original = documents[n as usize % documents.len()].to_vec();
        let signature = sign(SECRET, &original).into_bytes();
        let (mut body, mut header) = (original.clone(), signature.clone());
        for _ in 0..random.random_range(0..3) {
            if random.random_ratio(1, 2) { change_body(&mut random, &mut body) } else { change_header(&mut random, &mut header) }
        }
        let unchanged = body == original && header == signature;
        counts.tried += 1;
        if verifier.accepts(&body, &header) != unchanged {
            let header = String::from_utf8_lossy(&header);
            let words = format!("webhook {n} of seed {seed}, with the signature {header:?}, was judged wrongly: unchanged is {unchanged}");
            return counts.ended(Err(words));
        }
        // What is signed and strange is stored: the check of the body gives an answer to whatever it is.
        let _ = jsonb::check(&body);
        counts.taken += u64::from(unchanged);
        counts.refused += u64::from(!unchanged);
    }
    Ok(counts)
}

fn change_body(random: &mut StdRng, body: &mut Vec<u8>) {
    let place = random.random_range(0..body.len());
    match random.random_range(0..9) {
        0 => body[place] ^= 1 << random.random_range(0..8),
        1 => {
            body.remove(place);
        }
        2 => body.insert(place, b' '),
        3 => body.insert(place, body[place]),
        4 => body.truncate(place.max(1)),
        5 => body.extend_from_slice(b"\n"),
        6 => drop(body.splice(0..0, [0xef, 0xbb, 0xbf])),
        7 => *body = body.iter().flat_map(|byte| [*byte, 0]).collect(),
        _ => {
            let other = random.random_range(0..body.len());
            body.swap(place, other);
        }
    }
}

fn change_header(random: &mut StdRng, header: &mut Vec<u8>) {
    if header.is_empty() {
        return;
    }
    let place = random.random_range(0..header.len());
    match random.random_range(0..11) {
        0 => header[place] ^= 1 << random.random_range(0..8),
        1 => {
            header.pop();
        }
        2 => header.extend_from_slice(b"="),
        3 => header.insert(0, b' '),
        4 => header.clear(),
        5 => header.iter_mut().for_each(|byte| {
            *byte = if *byte == b'+' {
                b'-'
            } else if *byte == b'/' {
                b'_'
            } else {
                *byte
            }
        }),
        6 => header.make_ascii_lowercase(),
        7 => drop(header.splice(0..0, *b"v1,")),
        8 => header.extend_from_slice(b",v1"),
        // The last character before the padding carries two bits that no byte needs.
        9 => {
            if let Some(last) = header.iter_mut().rev().find(|byte| **byte != b'=') {
                *last = last.wrapping_add(1);
            }
        }
        _ => header.truncate(place),
    }
}
