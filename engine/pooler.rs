//! Through a pooler in transaction mode, such as PgBouncer 1.18: each transaction may run on another session of the
//! server, so nothing prepared in one is there in the next.
//!
//! sqlx prepares a statement in a round trip of its own, under a name that it believes to keep. [`through`] puts a
//! translator in between, inside this process: it remembers what was prepared, and sends the text along with each use of it,
//! in the same round trip. So every statement works, at the price of planning it each time. What belongs to a session
//! stays impossible: a worker behind a pooler does not LISTEN, see [`crate::WorkerConfig::listen`].

mod messages;
mod statements;

use std::{borrow::Cow, io, net::Ipv4Addr, path::PathBuf, sync::Mutex, thread};

use sqlx::{
    ConnectOptions,
    postgres::{PgConnectOptions, PgSslMode},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, BufWriter},
    net::{TcpListener, TcpStream, UnixStream},
    sync::oneshot,
};

use messages::{Message, startup};
use statements::Statements;

/// Why a pooler cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PoolerError {
    /// The translator speaks to the pooler in plain text.
    #[error("a pooler in transaction mode is spoken to without TLS: run it beside this process, and set sslmode=disable")]
    Tls,
    /// No port of this machine could be listened on, or no thread started.
    #[error("the translator for the pooler cannot begin: {0}")]
    Begin(#[from] io::Error),
}

/// Where the pooler is.
#[derive(Debug, Clone)]
enum Upstream {
    Tcp(String, u16),
    Unix(PathBuf),
}

/// Connections that `options` describes, made through a pooler in transaction mode. The translator has a thread of its own
/// and lives as long as the process, so that no handler which blocks the runtime can hold up a lease.
///
/// # Errors
/// [`PoolerError`] says why not.
pub async fn through(options: PgConnectOptions) -> Result<PgConnectOptions, PoolerError> {
    if !matches!(options.get_ssl_mode(), PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer) {
        return Err(PoolerError::Tls);
    }
    let (host, port) = (options.get_host().to_string(), options.get_port());
    let upstream = match options.get_socket() {
        Some(folder) => Upstream::Unix(folder.join(format!(".s.PGSQL.{port}"))),
        None if host.starts_with('/') => Upstream::Unix(PathBuf::from(host).join(format!(".s.PGSQL.{port}"))),
        None => Upstream::Tcp(host, port),
    };
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (begun, has_begun) = oneshot::channel();
    thread::Builder::new().name("rawops-pooler".into()).spawn(move || {
        runtime.block_on(async {
            match TcpListener::from_std(listener) {
                Ok(listener) => {
                    let _ = begun.send(Ok(()));
                    accept(listener, upstream).await;
                }
                Err(error) => drop(begun.send(Err(error))),
            }
        });
    })?;
    has_begun.await.map_err(io::Error::other)??;
    let options = if options.get_socket().is_some() { without_socket(&options).map_err(io::Error::other)? } else { options };
    Ok(options.host("127.0.0.1").port(port).ssl_mode(PgSslMode::Disable))
}

/// The same options without their folder of sockets, which nothing else takes out of them.
fn without_socket(options: &PgConnectOptions) -> Result<PgConnectOptions, sqlx::Error> {
    let mut url = options.to_url_lossy();
    let others: Vec<(String, String)> = url.query_pairs().filter(|(key, _)| key != "host" && key != "socket").map(owned).collect();
    url.query_pairs_mut().clear().extend_pairs(others);
    url.as_str().parse()
}

fn owned(pair: (Cow<'_, str>, Cow<'_, str>)) -> (String, String) {
    (pair.0.into_owned(), pair.1.into_owned())
}

async fn accept(listener: TcpListener, upstream: Upstream) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // Out of file descriptors, say: whoever waits to be accepted waits on.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let upstream = upstream.clone();
        tokio::spawn(async move {
            let _ = client.set_nodelay(true);
            // However it ends, both connections go, and the client sees that.
            let ended = match upstream {
                Upstream::Tcp(host, port) => match TcpStream::connect((host.as_str(), port)).await {
                    Ok(server) => {
                        let _ = server.set_nodelay(true);
                        translate(client, server).await
                    }
                    Err(error) => Err(error),
                },
                Upstream::Unix(path) => match UnixStream::connect(path).await {
                    Ok(server) => translate(client, server).await,
                    Err(error) => Err(error),
                },
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection through the pooler ended");
            }
        });
    }
}

/// Translates until one side closes.
async fn translate(client: TcpStream, server: impl AsyncRead + AsyncWrite + Unpin + Send) -> io::Result<()> {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = tokio::io::split(server);
    let (mut from_client, mut to_client) = (BufReader::with_capacity(1 << 16, from_client), BufWriter::new(to_client));
    let (mut from_server, mut to_server) = (BufReader::with_capacity(1 << 16, from_server), BufWriter::new(to_server));
    to_server.write_all(&startup(&mut from_client, &mut to_client).await?).await?;
    to_server.flush().await?;
    let statements = Mutex::new(Statements::default());
    let requests = async {
        while let Some(message) = Message::read(&mut from_client).await? {
            let sent = statements.lock().expect("no holder of this lock panics").request(message)?;
            for message in sent {
                message.write(&mut to_server).await?;
            }
            if from_client.buffer().is_empty() {
                to_server.flush().await?;
            }
        }
        to_server.shutdown().await
    };
    let replies = async {
        while let Some(message) = Message::read(&mut from_server).await? {
            if statements.lock().expect("no holder of this lock panics").is_for_the_client(&message) {
                message.write(&mut to_client).await?;
            }
            if from_server.buffer().is_empty() {
                to_client.flush().await?;
            }
        }
        to_client.shutdown().await
    };
    tokio::select! {
        ended = requests => ended,
        ended = replies => ended,
    }
}
