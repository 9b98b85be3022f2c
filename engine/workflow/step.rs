//! Steps: work that is done once, and whose result later runs are given.

use std::time::Instant;

use serde::{Serialize, de::DeserializeOwned};

use super::{
    Undoing,
    course::{Act, Met},
};
use crate::{
    Failure, JobResult, Run, Tx, jsonb,
    store::{
        clock,
        step::{self, At, Kept},
    },
};

impl Run {
    /// Does a step: its effects in PostgreSQL and the note that it is done commit together, so they are there once, however often
    /// `work` begins. A later attempt is given its result.
    ///
    /// Names are stored; they need not differ from each other, but they and their order must stay while workflows of
    /// the kind are on their way. A name has 1 to 200 characters.
    ///
    /// ```
    /// use engine::{Job, JobResult, Outcome, Run, Tx};
    ///
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct TakeOrder { email: String }
    /// impl Job for TakeOrder {
    ///     const KIND: &'static str = "shop.take_order";
    ///
    ///     async fn run(&self, run: &mut Run) -> JobResult {
    ///         let order = run.step("save", async |tx| self.save(tx).await).await?;
    ///         run.step("allocate", async |tx| allocate(tx, order).await).await?;
    ///         Ok(Outcome::done())
    ///     }
    /// }
    ///
    /// impl TakeOrder {
    ///     async fn save(&self, tx: &mut Tx) -> JobResult<i64> {
    ///         let saving = sqlx::query_scalar("insert into orders (email) values ($1) returning id").bind(&self.email);
    ///         Ok(saving.fetch_one(&mut **tx).await?)
    ///     }
    /// }
    /// # async fn allocate(_: &mut Tx, _: i64) -> JobResult<()> { Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Those of `work`, after which nothing of it is kept; of category `conflict` when the attempt is no longer this
    /// worker's; `bug` when the workflow did something else here before; `validation` when the result is no JSON, or
    /// is larger than 1 MiB; otherwise the database's.
    pub async fn step<T>(&mut self, name: &str, work: impl AsyncFnOnce(&mut Tx) -> JobResult<T>) -> JobResult<T>
    where
        T: Serialize + DeserializeOwned,
    {
        let position = match self.meet(Act::Step, name).await? {
            Met::Known(kept) => return self.known(&kept),
            Met::New(position) => position,
        };
        let begun = Instant::now();
        let mut tx = self.begin().await?;
        tx.undoing = Some(Undoing { workflow: self.job_id, position, noted: 0 });
        let value = work(&mut tx).await?;
        self.keep(tx, Act::Step, position, name, begun, &value).await?;
        Ok(value)
    }

    /// Does something outside the database, without a transaction, and then keeps its result.
    ///
    /// When the worker dies between the two it is done again; `work` is given a key that is the same each time, for the
    /// other side to know the repetition by. It is the same, too, when the workflow's dead letter is run again and goes on, with this step
    /// or with one before it; with other arguments, or after the workflow was undone or restarted, it is another.
    ///
    /// ```
    /// use engine::{JobResult, Run};
    ///
    /// /// The receipt of what was charged.
    /// async fn charge(run: &mut Run, card: &str, pence: i64) -> JobResult<String> {
    ///     run.step_outside("charge", async |key: String| ask_bank(card, pence, &key).await).await
    /// }
    /// # async fn ask_bank(_: &str, _: i64, key: &str) -> JobResult<String> { Ok(key.into()) }
    /// ```
    ///
    /// # Errors
    /// As [`Run::step`].
    pub async fn step_outside<T>(&mut self, name: &str, work: impl AsyncFnOnce(String) -> JobResult<T>) -> JobResult<T>
    where
        T: Serialize + DeserializeOwned,
    {
        let position = match self.meet(Act::Outside, name).await? {
            Met::Known(kept) => return self.known(&kept),
            Met::New(position) => position,
        };
        let begun = Instant::now();
        let first = step::first_asked(&mut *self.pool.acquire().await?, self.job_id, position, name).await?;
        let value = work(format!("{first}-{position}")).await?;
        self.heard.answered();
        let tx = self.begin().await?;
        self.keep(tx, Act::Outside, position, name, begun, &value).await?;
        Ok(value)
    }

    /// Keeps a value that would be another one the next time: what `make` returns now is what every later run is given.
    ///
    /// # Errors
    /// As [`Run::step`].
    pub async fn value<T>(&mut self, name: &str, make: impl FnOnce() -> T) -> JobResult<T>
    where
        T: Serialize + DeserializeOwned,
    {
        let position = match self.meet(Act::Value, name).await? {
            Met::Known(kept) => return self.known(&kept),
            Met::New(position) => position,
        };
        let begun = Instant::now();
        let value = make();
        let tx = self.begin().await?;
        self.keep(tx, Act::Value, position, name, begun, &value).await?;
        Ok(value)
    }

    /// The time by the database's clock when the workflow first came here.
    ///
    /// # Errors
    /// As [`Run::step`].
    pub async fn now(&mut self, name: &str) -> JobResult<chrono::DateTime<chrono::Utc>> {
        let position = match self.meet(Act::Value, name).await? {
            Met::Known(kept) => return self.known(&kept),
            Met::New(position) => position,
        };
        let begun = Instant::now();
        let mut tx = self.begin().await?;
        let now = clock::now_in(&mut tx).await?;
        self.keep(tx, Act::Value, position, name, begun, &now).await?;
        Ok(now)
    }

    /// A random number, drawn when the workflow first came here.
    ///
    /// # Errors
    /// As [`Run::step`].
    pub async fn random(&mut self, name: &str) -> JobResult<u64> {
        self.value(name, rand::random).await
    }

    /// Commits what a new act did together with its result.
    pub(super) async fn keep<T: Serialize>(
        &self,
        mut tx: Tx,
        act: Act,
        position: i32,
        name: &str,
        begun: Instant,
        value: &T,
    ) -> JobResult<()> {
        let result = storable(name, value)?;
        let at = self.at(position, name);
        step::keep(&mut tx, at, act.as_str(), begun.elapsed().as_micros() as i64, &result).await?;
        self.commit_act(tx, act, at).await
    }

    /// Commits an act that was met and passes it.
    pub(super) async fn commit_act(&self, tx: Tx, act: Act, at: At<'_>) -> JobResult<()> {
        if let Err(failure) = tx.decide("run/commit").await {
            self.course.doubt();
            return Err(failure);
        }
        self.course.pass(Some(Kept {
            position: at.position,
            attempt: at.attempt,
            kind: act.as_str().into(),
            name: at.name.into(),
            ended: true,
            until: None,
            key: None,
            event_id: None,
            result: None,
        }));
        Ok(())
    }

    pub(super) const fn at<'a>(&self, position: i32, name: &'a str) -> At<'a> {
        At { job_id: self.job_id, attempt: self.attempt, position, name }
    }

    /// The result of an act that is kept; passes it.
    pub(super) fn known<T: DeserializeOwned>(&self, kept: &Kept) -> JobResult<T> {
        let value = decode(kept)?;
        self.course.pass(None);
        Ok(value)
    }
}

/// A result as it is stored.
fn storable<T: Serialize>(name: &str, value: &T) -> JobResult<serde_json::Value> {
    let result = serde_json::to_value(value).map_err(|error| Failure::validation(format!("the result of `{name}` is no JSON: {error}")))?;
    let text = result.to_string();
    if text.len() > 1 << 20 {
        let size = text.len();
        return Err(Failure::validation(format!(
            "the result of `{name}` has {size} bytes, and 1 MiB is kept at most: store it and return its id"
        )));
    }
    if jsonb::holds_nul(&text) {
        return Err(Failure::validation(format!("the result of `{name}` holds a NUL character, which cannot be stored")));
    }
    Ok(result)
}

/// What a kept act returned.
pub(super) fn decode<T: DeserializeOwned>(kept: &Kept) -> JobResult<T> {
    serde_json::from_str(kept.result.as_deref().unwrap_or("null")).map_err(|error| {
        Failure::bug(format!(
            "step {}, {} `{}`, returned something before that its code does not know now: {error}",
            kept.position, kept.kind, kept.name
        ))
    })
}
