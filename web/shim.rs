//! Stands in for the engine until its types land.
#![allow(missing_docs, dead_code)]
use sqlx::PgConnection;

pub struct ProcessOrder {
    pub inbox_id: uuid::Uuid,
}
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}
pub struct NewJob {
    args: serde_json::Value,
    unique_key: Option<String>,
}
impl NewJob {
    #[allow(clippy::unnecessary_wraps)]
    pub fn of(job: &ProcessOrder) -> Result<Self, EnqueueError> {
        Ok(Self { args: serde_json::json!({"inbox_id": job.inbox_id}), unique_key: None })
    }
    pub fn unique_key(mut self, key: String) -> Self {
        self.unique_key = Some(key);
        self
    }
}
pub async fn enqueue_in(tx: &mut PgConnection, job: &NewJob) -> Result<(), EnqueueError> {
    sqlx::query("select id from engine.enqueue('orders.process_order', $1, unique_key => $2)")
        .bind(&job.args)
        .bind(&job.unique_key)
        .execute(tx)
        .await?;
    Ok(())
}
