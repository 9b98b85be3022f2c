//! The process `web`: webhooks in, health and metrics out.

use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use web::AppState;

pub use web::{Config, ConfigError, Secret, ServeError, bind};

/// Connections to the database that one web process uses at most.
pub const CONNECTIONS: u32 = 16;

/// Serves on the configured address until `shutdown`, then lets requests in progress finish. A database that is away is
/// told to senders as 503 and to `/readyz`.
///
/// # Errors
/// When the settings are not usable or the address cannot be listened on.
pub async fn run(config: Config, pool: PgPool, shutdown: CancellationToken) -> Result<(), ServeError> {
    web::serve(config, pool, shutdown).await
}

/// Serves on a socket that is bound already.
pub async fn run_on(listener: TcpListener, config: &Config, pool: PgPool, shutdown: CancellationToken) {
    web::run(listener, web::router(AppState::new(config, pool)), shutdown).await;
}
