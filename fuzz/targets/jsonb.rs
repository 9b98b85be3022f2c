//! Whether PostgreSQL's `jsonb` can hold a body.

use serde::de::IgnoredAny;
use web::webhooks::jsonb::{self, Unfit};

use crate::{Seen, Target, Verdict, judge_words, promise};

/// A body.
pub const CHECK: Target = Target {
    name: "jsonb",
    promise: "what is taken is JSON, what is called malformed is none, and what is taken has no character that jsonb refuses",
    words: &["null", "true", "\"\\ud83d\\ude00\"", "\\u0000", "\\ud83d", "1e131072", "[", "]", "{\"a\":", "}", ",", "-0.5e-3", " "],
    check,
};

fn check(input: &[u8]) -> Verdict {
    // Another implementation, which neither limits numbers nor looks at pairs of surrogates when nothing is made of them.
    let is_json = serde_json::from_slice::<IgnoredAny>(input).is_ok();
    match jsonb::check(input) {
        Ok(text) => {
            promise(text.as_bytes() == input, || "the text is not the body".into())?;
            promise(is_json, || "it was taken and is no JSON".into())?;
            if let Err(error) = serde_json::from_str::<serde_json::Value>(text) {
                let words = error.to_string();
                let is_known = words.contains("number out of range") || words.contains("recursion limit");
                promise(is_known, || format!("it was taken and cannot be read: {words}"))?;
            }
            Ok(Seen::taken(text.bytes().find(|byte| !byte.is_ascii_whitespace()).map(char::from).unwrap_or_default()))
        }
        Err(unfit) => {
            promise(!matches!(unfit, Unfit::Malformed(_)) || !is_json, || format!("it is JSON, and was refused: {unfit}"))?;
            promise(unfit != Unfit::NotUtf8 || std::str::from_utf8(input).is_err(), || "it is UTF-8".into())?;
            judge_words(&unfit.to_string())?;
            Ok(Seen::refused(&unfit.to_string()))
        }
    }
}
