//! What the process's database user may do. Webhooks need little; the API for producers needs more.

use std::time::Duration;

use sqlx::PgPool;

/// What to do about a user that may not.
pub(crate) const CURE: &str = "callers of /v1 are served by a database user in the roles rawops_runtime and rawops_operator, and this one is \
     in neither or one of them: grant both to it, or run a second web process for /v1 with a user of its own";

/// How long the start waits for an answer: a database that is away is told of elsewhere.
const PATIENCE: Duration = Duration::from_secs(2);

/// Says at the start when the API will refuse its callers.
pub(crate) async fn tell(pool: &PgPool) {
    let asking = sqlx::query_scalar::<_, bool>(include_str!("sql/rights/api.sql")).fetch_one(pool);
    if let Ok(Ok(false)) = tokio::time::timeout(PATIENCE, asking).await {
        tracing::warn!("webhooks are taken and /v1 is not served: {CURE}");
    }
}
