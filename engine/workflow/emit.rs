//! Saying that something happened, to workflows that wait for it.

use std::time::Instant;

use serde::Serialize;
use sqlx::PgConnection;

use super::course::{Act, Met};
use crate::{
    Client, JobResult, Run, StoreError,
    store::event::{self, Emitted},
};

impl Run {
    /// Emits an event, once, and wakes the workflows that wait for this name and key.
    ///
    /// # Errors
    /// `validation` when the payload is no JSON or larger than 1 MiB; otherwise as [`Run::step`].
    pub async fn emit(&mut self, name: &str, key: &str, payload: &impl Serialize) -> JobResult<()> {
        let position = match self.meet(Act::Emit, name).await? {
            Met::Known(kept) => return self.known(&kept),
            Met::New(position) => position,
        };
        let begun = Instant::now();
        let mut tx = self.begin().await?;
        event::emit(&mut tx, name, key, &json(payload)?, None).await?;
        self.keep(tx, Act::Emit, position, name, begun, &()).await
    }
}

impl Client {
    /// Emits an event in a transaction of its own. With an idempotency key it is safe to call again after an error.
    ///
    /// ```no_run
    /// # async fn example(client: engine::Client) -> Result<(), engine::StoreError> {
    /// let emitted = client.emit("approval", "order 7", &true, Some("click 4711")).await?;
    /// println!("{} workflows went on", emitted.woken);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`emit_in`].
    pub async fn emit(
        &self,
        name: &str,
        key: &str,
        payload: &impl Serialize,
        idempotency_key: Option<&str>,
    ) -> Result<Emitted, StoreError> {
        emit_in(&mut *self.pool.acquire().await?, name, key, payload, idempotency_key).await
    }
}

/// Emits an event in the caller's transaction: it happened if, and only if, that transaction commits. Until then others
/// that emit or wait for the same name and key wait for it, so emit late in a transaction, and several in the order
/// of their keys.
///
/// # Errors
/// [`StoreError::KeyReused`] when the idempotency key came with another payload before; [`StoreError::PayloadTooLarge`];
/// [`StoreError::Payload`] when the payload is no JSON; otherwise the database's, among them its refusal of a name that is empty or
/// longer than 200 characters, or of a key that is longer than 500.
pub async fn emit_in(
    connection: &mut PgConnection,
    name: &str,
    key: &str,
    payload: &impl Serialize,
    idempotency_key: Option<&str>,
) -> Result<Emitted, StoreError> {
    event::emit(connection, name, key, &json(payload)?, idempotency_key).await
}

fn json(payload: &impl Serialize) -> Result<serde_json::Value, StoreError> {
    serde_json::to_value(payload).map_err(StoreError::Payload)
}
