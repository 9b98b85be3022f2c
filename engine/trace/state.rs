//! The header `tracestate`: what the systems that a trace has passed have noted, each for itself.

use std::{collections::HashSet, sync::Arc};

/// The most characters of it that are carried: as many as W3C asks for at least.
const CHARACTERS: usize = 512;
/// The most entries that it may have.
const ENTRIES: usize = 32;
/// The most characters of a key, and of a value.
const PART: usize = 256;

/// Reads the header; what is none by W3C, or longer than is carried, is as none at all. Blanks around its commas are left out.
pub(super) fn read(header: &str) -> Option<Arc<str>> {
    if header.is_empty() || header.len() > CHARACTERS {
        return None;
    }
    let entries: Vec<&str> = header.split(',').map(|entry| entry.trim_matches([' ', '\t'])).filter(|entry| !entry.is_empty()).collect();
    let keys: HashSet<&str> = entries.iter().filter_map(|entry| key_of(entry)).collect();
    // Each is an entry, and each has a key of its own.
    let is_state = (1..=ENTRIES).contains(&entries.len()) && keys.len() == entries.len();
    is_state.then(|| entries.join(",").into())
}

/// The key of a text that is an entry.
fn key_of(entry: &str) -> Option<&str> {
    let (key, value) = entry.split_once('=')?;
    let is_key = key.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && key.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@'));
    let is_value = !value.is_empty() && value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'=');
    (is_key && is_value && key.len() <= PART && value.len() <= PART).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systems_noted_is_kept_as_they_noted_it() {
        for (header, kept) in [
            ("congo=t61rcWkgMzE", "congo=t61rcWkgMzE"),
            ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
            (" a=1 ,\tb= 2 ,, 0t@v-_*/=~!\"\\ ;", "a=1,b= 2,0t@v-_*/=~!\"\\ ;"),
        ] {
            assert_eq!(read(header).as_deref(), Some(kept), "{header}");
        }
    }

    #[test]
    fn what_is_no_such_header_is_left_out_as_a_whole() {
        for wrong in ["", " ", ",", "a", "a=", "=1", "A=1", "_a=1", "a b=1", "a=1=2", "a=1,b", "a=1,a=2", "a=\u{e4}", "a=1\n", "a=\t1"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn it_is_bounded() {
        let entries = |number: usize| (0..number).map(|n| format!("k{n}=1")).collect::<Vec<_>>().join(",");
        assert!(read(&entries(32)).is_some() && read(&entries(33)).is_none());
        let long = |characters: usize| format!("a={},b={}", "x".repeat(250), "y".repeat(characters - 255));
        assert!(read(&long(511)).is_some() && read(&long(512)).is_none(), "a value of 257");
        let three = |characters: usize| format!("a={},b={},c={}", "x".repeat(200), "y".repeat(200), "z".repeat(characters - 408));
        assert!(read(&three(512)).is_some() && read(&three(513)).is_none());
    }
}
