//! Arguments as they are stored: JSON, with the version of their shape when it is not the first.
//!
//! A row written before a deploy is decoded after it: each kind says how the arguments of one version become those of
//! the next. A row written after a deploy may meet a worker of before it, which leaves it to the others.

use serde_json::{Value, value::RawValue};

use crate::Job;

/// The member of the stored arguments that holds the version of their shape; absent, it is 1.
const VERSION: &str = "_version";

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
    let malformed = |reason: String| Undecodable::Malformed { kind: J::KIND, reason };
    if J::VERSION == 1 && !args.contains(VERSION) {
        return serde_json::from_str(args).map_err(|error| malformed(error.to_string()));
    }
    let mut args: Value = serde_json::from_str(args).map_err(|error| malformed(error.to_string()))?;
    let stored = args.as_object_mut().and_then(|fields| fields.remove(VERSION));
    let found = match &stored {
        None => 1,
        Some(version) => version.as_u64().filter(|version| *version > 0).ok_or_else(|| malformed(format!("{VERSION} is {version}")))?,
    };
    if found > u64::from(J::VERSION) {
        return Err(Undecodable::Newer { kind: J::KIND, found, known: J::VERSION });
    }
    for version in found as u32..J::VERSION {
        args =
            J::upcast(version, args).map_err(|reason| malformed(format!("version {version} does not become {}: {reason}", version + 1)))?;
    }
    serde_json::from_value(args).map_err(|error| malformed(error.to_string()))
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
