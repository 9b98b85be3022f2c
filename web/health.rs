//! `GET /healthz` and `GET /readyz`.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use tokio::time::timeout;

use crate::AppState;

/// How long the database may take to answer.
const READY_TIMEOUT: Duration = Duration::from_secs(1);

/// The process runs. The database is not asked: restarting this process would
/// not bring it back.
pub async fn alive() -> &'static str {
    "ok\n"
}

/// The process can take work: the database answers in time and its schema is
/// the one this program was built for.
pub async fn ready(State(state): State<AppState>) -> (StatusCode, &'static str) {
    match timeout(READY_TIMEOUT, schema_is_current(&state)).await {
        Ok(Ok(true)) => (StatusCode::OK, "ready\n"),
        Ok(Ok(false)) => unready("the database's schema is older than this program: run `rawops migrate`\n"),
        Ok(Err(migrations::Error::SchemaNewer(_))) => unready("the database's schema is newer than this program: use the newer rawops\n"),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the database cannot be asked");
            unready("the database cannot be asked\n")
        }
        Err(_) => {
            tracing::warn!(connections = state.pool.size(), idle = state.pool.num_idle(), "the database does not answer within a second");
            unready("the database does not answer within a second\n")
        }
    }
}

fn unready(reason: &'static str) -> (StatusCode, &'static str) {
    (StatusCode::SERVICE_UNAVAILABLE, reason)
}

async fn schema_is_current(state: &AppState) -> Result<bool, migrations::Error> {
    migrations::is_current(&mut *state.pool.acquire().await?).await
}
