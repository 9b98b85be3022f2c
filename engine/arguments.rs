//! Arguments as they are stored: JSON, with the version of their shape when it is not the first.
//!
//! A row written before a deploy is decoded after it: each kind says how the arguments of one version become those of
//! the next. A row written after a deploy may meet a worker of before it, which leaves it to the others.

use serde_json::{Value, value::RawValue};

use crate::{Job, schema::cut};

/// The member of the stored arguments that holds the version of their shape; absent, it is 1.
const VERSION: &str = "_version";
/// The most bytes of a reason that is told to whoever sent them.
const REASON_BYTES: usize = 300;

/// Why stored arguments cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// A newer program wrote them.
    #[error("the arguments are of version {found}, and this program knows versions up to {known} of {kind}: a newer program wrote them")]
    Newer {
        /// The kind.
        kind: &'static str,
        /// Their version.
        found: u64,
        /// The newest version that this program knows.
        known: u32,
    },
    /// They are not what the kind expects.
    #[error("the arguments do not decode as {kind}: {reason}")]
    Malformed {
        /// The kind.
        kind: &'static str,
        /// The decoder's words.
        reason: String,
    },
}

impl Undecodable {
    /// The same for whoever sent them: without what stood there as far as serde quotes it, and not longer than a sentence.
    pub(crate) fn to_sender(&self) -> String {
        match self {
            Self::Newer { .. } => self.to_string(),
            Self::Malformed { kind, reason } => {
                // `invalid type: string "…", expected a number at line 1 column 9`; what is expected is the program's own words.
                let told = reason.rfind(", expected ").map_or(&**reason, |at| &reason[at + 2..]);
                format!("the arguments do not decode as {kind}: {}", cut(told.into(), REASON_BYTES))
            }
        }
    }
}

/// A job's arguments as they are stored.
pub(crate) fn encode<J: Job>(job: &J) -> Result<Box<RawValue>, serde_json::Error> {
    if J::VERSION == 1 {
        return serde_json::value::to_raw_value(job);
    }
    let mut args = serde_json::to_value(job)?;
    let fields = args.as_object_mut().ok_or_else(|| serde::ser::Error::custom("arguments that have a version are an object"))?;
    fields.insert(VERSION.into(), J::VERSION.into());
    serde_json::value::to_raw_value(&args)
}

/// The job that stored arguments describe, brought to today's shape.
pub(crate) fn decode<J: Job>(args: &str) -> Result<J, Undecodable> {
    let decoded = if is_of_first::<J>(args) { serde_json::from_str(args) } else { serde_json::from_value(todays::<J>(args)?) };
    decoded.map_err(|error| malformed::<J>(error.to_string()))
}

/// Stored arguments in today's shape, which the kind's schema is of.
pub(crate) fn todays<J: Job>(args: &str) -> Result<Value, Undecodable> {
    let mut args: Value = serde_json::from_str(args).map_err(|error| malformed::<J>(error.to_string()))?;
    let stored = args.as_object_mut().and_then(|fields| fields.remove(VERSION));
    let found = match &stored {
        None => 1,
        Some(version) => {
            let version = version.as_u64().filter(|version| *version > 0);
            // What stands there instead may be anything, and is told to whoever sent it.
            version.ok_or_else(|| malformed::<J>(format!("{VERSION} is no whole number from 1")))?
        }
    };
    if found > u64::from(J::VERSION) {
        return Err(Undecodable::Newer { kind: J::KIND, found, known: J::VERSION });
    }
    for version in found as u32..J::VERSION {
        args = J::upcast(version, args)
            .map_err(|reason| malformed::<J>(format!("version {version} does not become {}: {reason}", version + 1)))?;
    }
    Ok(args)
}

/// Whether there is no version to look for, so that the text decodes as it is.
fn is_of_first<J: Job>(args: &str) -> bool {
    J::VERSION == 1 && !args.contains(VERSION)
}

fn malformed<J: Job>(reason: String) -> Undecodable {
    Undecodable::Malformed { kind: J::KIND, reason }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    use super::*;
    use crate::{JobResult, Kinds, Outcome, Run};

    /// Its first version had one name, its second a list of names, its third says of what language they are.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Greet {
        names: Vec<String>,
        language: String,
    }

    impl Job for Greet {
        const KIND: &'static str = "test.greet";
        const VERSION: u32 = 3;

        fn upcast(version: u32, mut args: Value) -> Result<Value, String> {
            if version == 1 {
                return Ok(json!({ "names": [args["name"].as_str().ok_or("there is no name")?] }));
            }
            args["language"] = json!("en");
            Ok(args)
        }

        fn schema() -> Value {
            json!({
                "type": "object",
                "additionalProperties": false,
                "required": ["names", "language"],
                "properties": { "names": { "type": "array", "minItems": 1 }, "language": { "type": "string", "minLength": 2 } },
            })
        }

        async fn run(&self, _: &mut Run) -> JobResult {
            Ok(Outcome::done())
        }
    }

    fn ada() -> Greet {
        Greet { names: vec!["Ada".into()], language: "en".into() }
    }

    #[test]
    fn what_is_stored_today_carries_its_version_and_comes_back() {
        let stored = encode(&ada()).expect("it serialises");
        assert_eq!(
            serde_json::from_str::<Value>(stored.get()).expect("JSON"),
            json!({ "names": ["Ada"], "language": "en", "_version": 3 })
        );
        assert_eq!(decode::<Greet>(stored.get()), Ok(ada()));
    }

    #[test]
    fn older_rows_become_todays() {
        assert_eq!(decode::<Greet>(r#"{ "name": "Ada" }"#), Ok(ada()), "no version is the first");
        assert_eq!(decode::<Greet>(r#"{ "_version": 2, "names": ["Ada"] }"#), Ok(ada()));
    }

    /// A kind whose upcaster was written for rows that never were.
    #[derive(Serialize, Deserialize)]
    struct Hasty {}

    impl Job for Hasty {
        const KIND: &'static str = "test.hasty";
        const VERSION: u32 = 2;

        fn upcast(_: u32, args: Value) -> Result<Value, String> {
            Ok(args["name"].as_str().map(Value::from).expect("every row has a name"))
        }

        async fn run(&self, _: &mut Run) -> JobResult {
            Ok(Outcome::done())
        }
    }

    #[test]
    fn an_upcaster_that_panics_is_a_row_that_cannot_be_decoded() {
        let kinds = Kinds::new().with::<Hasty>();
        let why = kinds.check("test.hasty", "{}").expect_err("it panics");
        assert_eq!(why, "decoding the arguments panics: every row has a name");
        assert_eq!(kinds.check("test.hasty", r#"{ "_version": 2 }"#), Ok(()));
    }

    #[test]
    fn what_comes_from_outside_is_held_to_the_schema_in_todays_shape() {
        let kinds = Kinds::new().with::<Greet>().with::<Hasty>();
        let why = |args: &str| kinds.fit("test.greet", args).expect_err("it is refused");
        for right in [r#"{ "name": "Ada" }"#, r#"{ "_version": 3, "names": ["Ada"], "language": "en" }"#] {
            assert_eq!(kinds.fit("test.greet", right), Ok(()), "{right}");
        }
        let short = r#"{ "_version": 3, "names": [], "language": "e" }"#;
        assert_eq!(kinds.check("test.greet", short), Ok(()), "what is stored is only decoded");
        assert!(why(short).contains("/names: 0 items, and 1 are the fewest"), "{}", why(short));
        assert_eq!(
            why(r#"{ "_version": 3, "names": [5], "language": "en" }"#),
            "the arguments do not decode as test.greet: expected a string"
        );
        assert_eq!(why("{}"), "the arguments do not decode as test.greet: version 1 does not become 2: there is no name");
        assert!(why(r#"{ "_version": 4 }"#).contains("a newer program wrote them"));
        assert!(why("{").contains("do not decode as test.greet: EOF"), "{}", why("{"));
        let panics = kinds.fit("test.hasty", "{}").expect_err("it panics");
        assert_eq!(panics, "decoding the arguments panics: every row has a name");
        assert_eq!(kinds.fit("test.none", "{}"), Err("this program knows no kind test.none".into()));
    }

    #[test]
    fn newer_rows_and_broken_ones_are_told_apart() {
        let newer = decode::<Greet>(r#"{ "_version": 4, "names": [] }"#).expect_err("it is newer");
        assert_eq!(newer, Undecodable::Newer { kind: "test.greet", found: 4, known: 3 });
        for broken in [r#"{ "_version": 0 }"#, r#"{ "_version": "two" }"#, r#"{ "nothing": 1 }"#, "[]", "{", r#"{ "_version": 3 }"#] {
            assert!(matches!(decode::<Greet>(broken), Err(Undecodable::Malformed { .. })), "{broken}");
        }
        let why = decode::<Greet>("{}").expect_err("no name").to_string();
        assert_eq!(why, "the arguments do not decode as test.greet: version 1 does not become 2: there is no name");
    }
}
