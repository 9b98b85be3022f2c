//! One listening socket, and what the system behind it answers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::faults::{Fault, Faults};

/// The largest request, in bytes.
const BODY_LIMIT: usize = 4 << 20;

/// A request as a system sees it.
pub(crate) struct Asked {
    pub method: String,
    /// Path and query, as they were sent.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What a system says.
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// An outside system behind its socket.
pub(crate) trait System: Send + Sync + 'static {
    /// Does what it is asked, and answers.
    fn answer(&self, asked: &Asked) -> Answer;
    /// Its words for a refusal of this status.
    fn refusal(&self, status: u16) -> Answer;
    /// What goes wrong.
    fn faults(&self) -> &Faults;
}

/// A socket that listens.
pub(crate) struct Front {
    pub address: SocketAddr,
}

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed on purpose")]
struct Broken;

impl Front {
    /// Listens on a free port of this machine until `shutdown`.
    pub(crate) async fn start<S: System>(system: Arc<S>, shutdown: CancellationToken) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
                let Ok((stream, _)) = accepted else { continue };
                let (system, shutdown) = (Arc::clone(&system), shutdown.clone());
                tokio::spawn(async move { shutdown.run_until_cancelled(serve(stream, system)).await });
            }
        });
        Ok(Self { address })
    }

    /// Its address, as the base of calls.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serve<S: System>(stream: TcpStream, system: Arc<S>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| respond(Arc::clone(&system), request));
    let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a sandbox's connection ended");
    }
}

async fn respond<S: System>(system: Arc<S>, request: Request<Incoming>) -> Result<Response<Body>, Broken> {
    let (head, body) = request.into_parts();
    let body = to_bytes(Body::new(body), BODY_LIMIT).await.map_err(|_| Broken)?;
    let path = head.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let asked = Asked { method: head.method.to_string(), path, headers: head.headers, body };
    let fault = system.faults().next();
    let answer = match fault {
        None => system.answer(&asked),
        Some(fault) if fault.acts() => {
            let done = system.answer(&asked);
            match fault {
                Fault::Garbage if done.status < 300 => Answer::new(200, "<<not what you expect>>"),
                Fault::LateReply => std::future::pending().await,
                Fault::LostReply => return Err(Broken),
                _ => done,
            }
        }
        Some(Fault::RateLimited(seconds)) => system.refusal(429).header("retry-after", seconds.to_string()),
        Some(Fault::Status(status)) => system.refusal(status),
        Some(Fault::Hang) => std::future::pending().await,
        Some(_) => return Err(Broken),
    };
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(answer.body.into()).map_err(|_| Broken)
}
