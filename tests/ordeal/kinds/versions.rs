//! Kinds that differ between two versions of the program: one is new in the second, another has other arguments there.

use engine::{Job, JobResult, Kinds, Outcome, Run};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::QUEUE;

/// The versions that workers of a run may have.
pub const VERSIONS: [u32; 2] = [1, 2];

/// A kind that the first version does not know.
#[derive(Debug, Serialize, Deserialize)]
pub struct Novel {
    /// Its place among its kind.
    pub number: u64,
}

/// A kind as the first version has it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shape {
    /// Its place among its kind.
    pub number: u64,
}

/// The same kind as the second version has it.
#[derive(Debug, Serialize, Deserialize)]
pub struct WiderShape {
    /// Its place among its kind.
    pub number: u64,
    /// Twice that, which the first version does not store.
    pub twice: u64,
}

/// Adds the kinds of a version.
pub fn of(kinds: Kinds, version: u32) -> Kinds {
    if version == VERSIONS[0] { kinds.with::<Shape>() } else { kinds.with::<WiderShape>().with::<Novel>() }
}

/// What each of them must answer.
pub fn answer(number: u64) -> Value {
    json!({ "twice": 2 * number })
}

impl Job for Novel {
    const KIND: &'static str = "ordeal.novel";
    const QUEUE: &'static str = QUEUE;

    async fn run(&self, _: &mut Run) -> JobResult {
        Ok(Outcome::Done(answer(self.number)))
    }
}

impl Job for Shape {
    const KIND: &'static str = "ordeal.shape";
    const QUEUE: &'static str = QUEUE;

    async fn run(&self, _: &mut Run) -> JobResult {
        Ok(Outcome::Done(answer(self.number)))
    }
}

impl Job for WiderShape {
    const KIND: &'static str = "ordeal.shape";
    const QUEUE: &'static str = QUEUE;
    const VERSION: u32 = 2;

    fn upcast(_: u32, mut args: Value) -> Result<Value, String> {
        let number = args.get("number").and_then(Value::as_u64).ok_or("it has no number")?;
        let fields = args.as_object_mut().ok_or("it is no object")?;
        fields.insert("twice".into(), json!(2 * number));
        Ok(args)
    }

    async fn run(&self, _: &mut Run) -> JobResult {
        Ok(Outcome::Done(json!({ "twice": self.twice })))
    }
}
