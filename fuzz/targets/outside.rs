//! Calls of others: where they may go, when they may come again, and what is said of them.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::{Duration, SystemTime},
};

use jobs::clients::http::{LONGEST_WAIT, Target as Called, is_public, redacted, retry_after};
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use url::{Host, Url};

use crate::{Seen, Target, Verdict, input::texts, judge_words, promise};

/// A base address, and one to which it redirects.
pub const ADDRESS: Target = Target {
    name: "outbound_address",
    promise: "no call leaves for a private network or over an open one, however its address is spelt, but to what the settings name",
    words: &[
        "https://",
        "http://",
        "127.0.0.1",
        "0x7f.1",
        "017700000001",
        "2130706433",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::7f00:1]",
        "localhost",
        "169.254.169.254",
        "track.customer.io",
        ".customer.io",
        "@",
        ":443",
        ":8443",
        "/",
        "\\",
        "%2e",
        "。",
        ".",
        "#",
        "?",
        "[fe80::1%25eth0]",
        "[2002:7f00:1::]",
        "user:pass@",
        "file:///",
    ],
    check: address,
};

/// A text.
pub const REDACTED: Target = Target {
    name: "redacted",
    promise: "what goes to a log is one line of bounded length without an address for mail and without a long number",
    words: &["ann@example.com", "+44 7700 900123", "4242 4242 4242 4242", "@", "<", ">", "-", ".", " ", "\n", "\"email\":", "é"],
    check: words_for_a_log,
};

/// An address of the internet: as text, or its bytes.
pub const PUBLIC: Target = Target {
    name: "public_address",
    promise: "an address is public if, and only if, no registry of special purposes has it, whichever of the two internets writes it",
    words: &[
        "10.0.0.1",
        "::ffff:",
        "64:ff9b::",
        "2002:",
        "100.64.0.0",
        "198.18.0.1",
        "192.88.99.1",
        "3fff::",
        "fd00::",
        "2001:db8::",
        "::1",
    ],
    check: public,
};

/// The header's value.
pub const WAIT: Target = Target {
    name: "retry_after",
    promise: "a wait is what was asked for and an hour at most; what cannot be read is no wait",
    words: &[
        "30",
        "1.5",
        "Sun, 06 Nov 1994 08:50:07 GMT",
        "Sunday, 06-Nov-94 08:50:07 GMT",
        "Sun Nov  6 08:50:07 1994",
        "inf",
        "e",
        "-",
        "GMT",
    ],
    check: wait,
};

/// When the date of the tests is.
const NOW: Duration = Duration::from_secs(784_111_777);

fn wait(input: &[u8]) -> Verdict {
    let Ok(value) = HeaderValue::from_bytes(input) else { return Ok(Seen::refused("no header")) };
    let Some(wait) = retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]), SystemTime::UNIX_EPOCH + NOW) else {
        return Ok(Seen::refused("not read"));
    };
    promise(wait <= LONGEST_WAIT, || format!("it waits {wait:?}"))?;
    let text = String::from_utf8_lossy(input);
    if let Ok(seconds) = text.trim().parse::<u64>() {
        promise(wait == Duration::from_secs(seconds).min(LONGEST_WAIT), || format!("{seconds} s are read as {wait:?}"))?;
    }
    Ok(Seen::taken(if text.contains("GMT") || text.contains(':') { "a date" } else { "seconds" }))
}

fn words_for_a_log(input: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(input);
    let clean = redacted(&text);
    promise(clean.chars().count() <= 301, || format!("{} characters", clean.chars().count()))?;
    promise(!clean.chars().any(char::is_control), || format!("a control character in {clean:?}"))?;
    promise(!clean.contains('@'), || format!("an address in {clean:?}"))?;
    let longest = clean.split(|letter: char| !letter.is_ascii_digit()).map(str::len).max().unwrap_or_default();
    promise(longest < 9, || format!("a number of {longest} digits in {clean:?}"))?;
    // Planted in the middle of it, two canaries are gone as well.
    let middle = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
    let planted = format!("{} canary.7@birds.example +44 7700 900417 {}", &text[..middle], &text[middle..]);
    let clean = redacted(&planted);
    promise(!clean.contains("canary.7") && !clean.contains("900417"), || format!("a canary in {clean:?}"))?;
    Ok(Seen::taken(format_args!("{} {}", clean.contains("‹email›"), clean.len() / 100)))
}

fn address(input: &[u8]) -> Verdict {
    let [base, next] = texts(input);
    let target = match Called::new("Elsewhere", &base) {
        Ok(target) => target.family("customer.io"),
        Err(refusal) => {
            judge_words(&refusal.to_string())?;
            promise(!refusal.to_string().contains("sesame"), || "the refusal shows a password".into())?;
            return Ok(Seen::refused(&refusal.to_string()));
        }
    };
    let base = Url::parse(base.trim()).map_err(|error| format!("it was taken and is no address: {error}"))?;
    let is_here = |url: &Url| match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    promise(base.scheme() == "https" || (base.scheme() == "http" && is_here(&base)), || format!("{base} is called over an open network"))?;
    promise(base.username().is_empty() && base.password().is_none(), || "keys stand in the address".into())?;
    let Ok(next) = base.join(&next) else { return Ok(Seen::refused("no address to go on to")) };
    if !target.allows(&next) || target.reaches_private(&next) {
        return Ok(Seen::refused(if target.allows(&next) { "private" } else { "not of the family" }));
    }
    let is_same = next.origin() == base.origin();
    promise(is_same || next.scheme() == "https", || format!("{next} is called over an open network"))?;
    let host = next.host_str().unwrap_or_default();
    promise(is_same || host == "customer.io" || host.ends_with(".customer.io"), || format!("{next} is of no family"))?;
    promise(is_same || matches!(next.host(), Some(Host::Domain(_))), || format!("{next} is a number of no family"))?;
    Ok(Seen::taken(if is_same { "the same" } else { "the family" }))
}

/// What the registries of special purposes have, of IPv4 and of IPv6: the first bits, and how many of them.
const SPECIAL_V4: [(u32, u32); 16] = [
    (0x0000_0000, 8),
    (0x0a00_0000, 8),
    (0x6440_0000, 10),
    (0x7f00_0000, 8),
    (0xa9fe_0000, 16),
    (0xac10_0000, 12),
    (0xc000_0000, 24),
    (0xc000_0200, 24),
    (0xc058_6300, 24),
    (0xc0a8_0000, 16),
    (0xc612_0000, 15),
    (0xc633_6400, 24),
    (0xcb00_7100, 24),
    (0xe000_0000, 4),
    (0xf000_0000, 4),
    (0xffff_ffff, 32),
];
const SPECIAL_V6: [(u128, u32); 3] = [(0x2001 << 112, 23), (0x2001_0db8 << 96, 32), (0x3fff << 112, 20)];

fn public(input: &[u8]) -> Verdict {
    let written = std::str::from_utf8(input).ok().and_then(|text| text.trim().parse::<IpAddr>().ok());
    let address = match (written, input) {
        (Some(address), _) => address,
        (None, [a, b, c, d]) => IpAddr::from([*a, *b, *c, *d]),
        (None, bytes) => {
            let Some(first) = bytes.first_chunk::<16>() else { return Ok(Seen::refused("no address")) };
            Ipv6Addr::from(*first).into()
        }
    };
    let expected = match address {
        IpAddr::V4(address) => is_ordinary_v4(address.into()),
        IpAddr::V6(address) => is_ordinary_v6(address.into()),
    };
    promise(is_public(address) == expected, || format!("{address} is called {}public", if expected { "not " } else { "" }))?;
    Ok(if expected { Seen::taken(address.is_ipv4()) } else { Seen::refused("special") })
}

fn is_ordinary_v4(address: u32) -> bool {
    !SPECIAL_V4.iter().any(|(first, bits)| (address ^ first) >> (32 - bits) == 0)
}

fn is_ordinary_v6(address: u128) -> bool {
    let old = |shift: u32| is_ordinary_v4((address >> shift) as u32);
    match address {
        _ if address >> 32 == 0xffff || address >> 32 == 0x0064_ff9b << 64 => old(0),
        _ if address >> 112 == 0x2002 => old(80),
        // What is given out begins with 001.
        _ => address >> 125 == 1 && !SPECIAL_V6.iter().any(|(first, bits)| (address ^ first) >> (128 - bits) == 0),
    }
}
