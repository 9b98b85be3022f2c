//! What is JSON and no jsonb: a string with a NUL in it.

/// Whether a JSON text, as serde writes it, holds a NUL: `\u0000`. Behind an odd number of backslashes these characters are none: `\\u0000`
/// is a backslash and five others.
pub(crate) fn holds_nul(json: &str) -> bool {
    json.match_indices(r"\u0000").any(|(at, _)| json[..at].bytes().rev().take_while(|byte| *byte == b'\\').count().is_multiple_of(2))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::holds_nul;

    #[test]
    fn a_nul_is_found_wherever_it_stands() {
        for held in [json!("\0"), json!("a\0b"), json!("\\\0"), json!("\\u0000\0"), json!({ "\0": 1 }), json!([{ "a": ["\\\\\0"] }])] {
            assert!(holds_nul(&held.to_string()), "{held}");
        }
    }

    #[test]
    fn the_same_characters_behind_a_backslash_are_none() {
        for free in [json!(r"\u0000"), json!(r"\\u0000"), json!(r"C:\u0000"), json!("u0000"), json!("\u{1}"), json!({ r"\u0000": r"\" })] {
            assert!(!holds_nul(&free.to_string()), "{free}");
        }
    }
}
