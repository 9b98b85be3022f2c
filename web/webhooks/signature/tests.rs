//! Signatures: known answers, and everything that is not one.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;

use super::*;

/// Made with another implementation: body, secret, signature.
const VECTORS: [(&[u8], &str, &str); 4] = [
    (b"", "hush", "Knm8rWjeSXNIt2H0AOMT7DQ8/YSy8sQi/pEjbuUmGMs="),
    (
        b"{\x22id\x22:820982911946154508,\x22email\x22:\x22jon@example.com\x22}",
        "shpss_1f0c2a7b",
        "nkXh4XjTT6zCYGD/PkeEp8rovuGq0UTwJa16k5mEAcg=",
    ),
    (
        b"{\x22name\x22:\x22Si\xc3\xa2n O\xe2\x80\x99Brien\x22,\x22city\x22:\x22\xc5\x81\xc3\xb3d\xc5\xba\x22}",
        "gehörig",
        "DJoerZYgNsri5NIUoR2JpiGfGHMLl6mLOOl2HEYM91M=",
    ),
    (
        b"{\x22a\x22:\x22b\x00c\x22}\x0d\x0a",
        "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk",
        "XPulvGDhodzkAidwNVoSSdwg+aTU/dKf+9w+nBfiIqY=",
    ),
];

fn verifier(secret: &str) -> Verifier {
    Verifier::new(&Secret::new(secret), None)
}

fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key length");
    mac.update(body);
    STANDARD.encode(mac.finalize().into_bytes())
}

#[test]
fn signatures_of_another_implementation_are_accepted() {
    for (body, secret, signature) in VECTORS {
        assert!(verifier(secret).accepts(body, signature.as_bytes()), "{signature}");
        assert!(!verifier("other").accepts(body, signature.as_bytes()), "{signature}");
    }
}

#[derive(Deserialize)]
struct Published {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    scheme: String,
    secret: String,
    signed_string: String,
    digest: String,
    valid: bool,
}

/// Vectors that vendors publish lie beside the checkout where they are kept.
#[test]
fn published_vectors_are_judged_as_published() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/fixtures/hmac-vectors.json");
    let Ok(text) = std::fs::read(path) else {
        return;
    };
    let published: Published = serde_json::from_slice(&text).expect("the vectors are JSON");
    let ours = ["shopify-webhook", "seal-webhook"];
    let mut judged = 0;
    for vector in published.vectors {
        if !ours.contains(&vector.scheme.as_str()) {
            continue;
        }
        let body = vector.signed_string.as_bytes();
        let accepted = verifier(&vector.secret).accepts(body, vector.digest.as_bytes());
        assert_eq!(accepted, vector.valid, "{}", vector.id);
        judged += 1;
    }
    assert!(judged >= 12, "only {judged} vectors");
}

#[test]
fn both_secrets_are_valid_while_a_rotation_lasts() {
    let rotating = Verifier::new(&Secret::new("new"), Some(&Secret::new("old")));
    let body = b"{\"id\":1}";
    assert!(rotating.accepts(body, sign("new", body).as_bytes()));
    assert!(rotating.accepts(body, sign("old", body).as_bytes()));
    assert!(!rotating.accepts(body, sign("older", body).as_bytes()));
    assert!(!verifier("new").accepts(body, sign("old", body).as_bytes()));
}

/// A comparison that stops at the shorter side accepts these.
#[test]
fn an_empty_or_short_signature_is_refused() {
    let good = sign("hush", b"body");
    let verifier = verifier("hush");
    for len in 0..good.len() {
        assert!(!verifier.accepts(b"body", &good.as_bytes()[..len]), "{len}");
    }
    let svix = format!("v1,{good}");
    for signature in ["", "v1,", "v1", ",", "=", "====", " ", svix.as_str()] {
        assert!(!verifier.accepts(b"body", signature.as_bytes()), "{signature:?}");
    }
    for len in [0, 1, 16, 31, 33, 64] {
        let encoded = STANDARD.encode(vec![0; len]);
        assert!(!verifier.accepts(b"body", encoded.as_bytes()), "{len} bytes");
    }
}

#[test]
fn only_canonical_padded_standard_base64_is_accepted() {
    // Chosen so that the two alphabets differ.
    let body = (0..1_000_u32)
        .map(|number| number.to_string())
        .find(|body| {
            let signature = sign("hush", body.as_bytes());
            signature.contains('+') && signature.contains('/')
        })
        .expect("one of a thousand bodies has both");
    let good = sign("hush", body.as_bytes());
    let refused = |variant: &str| !verifier("hush").accepts(body.as_bytes(), variant.as_bytes());
    assert!(!refused(&good));
    assert!(refused(&good.replace('+', "-").replace('/', "_")), "url-safe");
    assert!(refused(good.trim_end_matches('=')), "unpadded");
    assert!(refused(&format!("{good}=")), "padded twice");
    assert!(refused(&format!("{good}A")), "trailing junk");
    assert!(refused(&format!("{good} ")), "trailing space");
    assert!(refused(&format!(" {good}")), "leading space");
    assert!(refused(&good.replacen(&good[..1], "\n", 1)), "line break");
    let digest = STANDARD.decode(&good).expect("it is base64");
    let hex = digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    assert!(refused(&hex), "hex");
}

/// 43 characters carry 258 bits; the last two of them must be zero.
#[test]
fn a_signature_has_one_spelling() {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let good = sign("hush", b"body").into_bytes();
    let accepted = ALPHABET
        .iter()
        .filter(|last| {
            let mut variant = good.clone();
            variant[42] = **last;
            verifier("hush").accepts(b"body", &variant)
        })
        .count();
    assert_eq!(accepted, 1);
}

/// Whatever is done to body or signature, it is accepted if and only if
/// nothing was changed.
#[test]
fn a_hundred_thousand_mutations_are_accepted_only_when_nothing_changed() {
    let mut random = StdRng::seed_from_u64(20_251_122);
    let verifier = verifier("hush");
    let mut unchanged = 0;
    for turn in 0..100_000 {
        let len = random.random_range(0..200);
        let body: Vec<u8> = (0..len).map(|_| random.random()).collect();
        let signature = sign("hush", &body).into_bytes();
        let (mut new_body, mut new_signature) = (body.clone(), signature.clone());
        for _ in 0..random.random_range(0..3) {
            if random.random() {
                mutate(&mut random, &mut new_body);
            } else {
                mutate(&mut random, &mut new_signature);
            }
        }
        let same = new_body == body && new_signature == signature;
        unchanged += u32::from(same);
        assert_eq!(verifier.accepts(&new_body, &new_signature), same, "turn {turn}");
    }
    assert!((10_000..90_000).contains(&unchanged), "{unchanged} were unchanged");
}

fn mutate(random: &mut StdRng, bytes: &mut Vec<u8>) {
    let at = random.random_range(0..=bytes.len());
    match random.random_range(0..8) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
        1 if at < bytes.len() => _ = bytes.remove(at),
        2 => bytes.insert(at, b" \n\t=A"[random.random_range(0..5)]),
        3 => bytes.truncate(at),
        4 => bytes.extend_from_slice(b"\r\n"),
        5 => _ = bytes.splice(0..0, *b"\xef\xbb\xbf"),
        6 => bytes.reverse(),
        _ => bytes.make_ascii_uppercase(),
    }
}
