//! The listening socket and its connections.
//!
//! HTTP/1.1 only: a proxy in front terminates TLS and HTTP/2. A client gets
//! five seconds for the head of a request, idle time before it included, so
//! that slow or silent connections cannot pile up; their number is bounded
//! anyway.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt;
use sqlx::PgPool;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{AppState, Config, ConfigError};

/// Bounds of a connection.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// For the head of each request, from the moment the last answer was sent.
    pub head_timeout: Duration,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Headers of a request.
    pub headers: usize,
    /// Connections at a time; more wait to be accepted.
    pub connections: usize,
    /// For what was sent and is not acknowledged, or not read.
    pub unread_timeout: Duration,
    /// For requests in progress when the process is asked to stop.
    pub drain_timeout: Duration,
}

impl Limits {
    const PRODUCTION: Self = Self {
        head_timeout: Duration::from_secs(5),
        head_bytes: 64 * 1024,
        headers: 100,
        connections: 768,
        unread_timeout: Duration::from_secs(30),
        drain_timeout: Duration::from_secs(10),
    };
}

/// Pause after an accept that failed for want of a resource.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the process cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The settings are not usable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Another process has the port.
    #[error(
        "port {} of {} is taken by another process: stop that process, or set PORT or BIND to a free one",
        .0.port(), .0.ip()
    )]
    PortTaken(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; set BIND to an address of this machine")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
}

/// Serves until `shutdown`, then lets requests in progress finish.
///
/// # Errors
/// When the settings are not usable or the address cannot be listened on.
pub async fn serve(config: Config, pool: PgPool, shutdown: CancellationToken) -> Result<(), ServeError> {
    config.validate()?;
    let listener = bind(config.bind).await?;
    tracing::info!(address = %config.bind, "web listens");
    crate::rights::tell(&pool).await;
    let router = crate::router(AppState::new(&config, pool));
    run(listener, router, shutdown).await;
    Ok(())
}

/// Takes the address.
///
/// # Errors
/// A sentence that says what to do, as [`ServeError::PortTaken`].
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ServeError::PortTaken(address),
        _ => ServeError::Bind { address, source },
    })
}

/// Serves `router` on a socket that is bound already, until `shutdown`.
pub async fn run(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    run_within(Limits::PRODUCTION, listener, router, shutdown).await;
}

pub(crate) async fn run_within(limits: Limits, listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let connections = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let protocol = protocol(limits);
    let service = TowerToHyperService::new(router);
    while let Some(stream) = shutdown.run_until_cancelled(accept(&listener, limits)).await {
        let Some(Ok(permit)) = shutdown.run_until_cancelled(Arc::clone(&connections).acquire_owned()).await else {
            break;
        };
        let connection = protocol.serve_connection(TokioIo::new(stream), service.clone());
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.drain_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still in progress at the end of the drain time");
    }
}

fn protocol(limits: Limits) -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(limits.headers)
        .max_header_size(limits.head_bytes);
    protocol
}

async fn accept(listener: &TcpListener, limits: Limits) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY not set");
                }
                // Who asks and never reads the answers would keep his connection, since only a head has a limit of time.
                if let Err(error) = sockopt::set_tcp_user_timeout(&stream, limits.unread_timeout.as_millis() as u32) {
                    tracing::debug!(%error, "TCP_USER_TIMEOUT not set");
                }
                return stream;
            }
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
