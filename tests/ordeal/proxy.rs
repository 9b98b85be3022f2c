//! The network between processes and the server: a proxy that knows PostgreSQL's messages well enough to slow them, hold
//! them back for ever, and lose the answer to a COMMIT.

use std::{path::PathBuf, time::Duration};

use rand::{RngExt, rngs::StdRng};
use tokio::{
    io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::chance::{Purpose, stream};

/// How long a connection that died silently is held before its ends are closed, as a kernel does in the end.
const DEAD_FOR: Duration = Duration::from_secs(25);

/// How the network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Everything passes.
    Clear,
    /// Every message is late by so much.
    Slow(Duration),
    /// Nothing passes until it clears up, and nobody is told.
    Silent,
    /// Whoever speaks now loses the connection for good, and nobody is told.
    Dead,
    /// Connections are reset.
    Reset,
    /// One in so many answers to a finished statement is lost, with its connection.
    LostReplies(u32),
}

/// The proxy. Its connections end with it.
pub struct Proxy {
    port: u16,
    weather: watch::Sender<Weather>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of this machine, in front of whatever server's socket is the right one at the moment. Which answers are
    /// lost follows from the seed and the connection's number.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn start(socket: watch::Receiver<PathBuf>, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (weather, forecast) = watch::channel(Weather::Clear);
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            let mut number = 0;
            while let Ok((client, _)) = listener.accept().await {
                let random = stream(seed, Purpose::Network, number);
                connections.spawn(serve(client, socket.borrow().clone(), forecast.clone(), random));
                number += 1;
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { port, weather, accepting })
    }

    /// The port that it listens on.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The address of a database behind it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Changes the weather.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Forwards one connection until one side closes, or the weather ends it; both sides are closed then.
async fn serve(client: TcpStream, socket: PathBuf, weather: watch::Receiver<Weather>, mut random: StdRng) {
    // A server that is away closes the connection, as it would without a proxy.
    let Ok(server) = UnixStream::connect(&socket).await else { return };
    // Small messages go back and forth: none may wait for the next.
    let _ = client.set_nodelay(true);
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = async {
        // The first message has no type.
        to_server.write_all(&body(&mut from_client).await?).await?;
        messages(&mut from_client, &mut to_server, weather.clone(), None).await
    };
    let replies = messages(&mut from_server, &mut to_client, weather.clone(), Some(&mut random));
    // However it ends, both connections go.
    let _: io::Result<()> = tokio::select! {
        ended = requests => ended,
        ended = replies => ended,
        () = reset(weather.clone()) => Ok(()),
    };
}

async fn reset(mut weather: watch::Receiver<Weather>) {
    if weather.wait_for(|weather| *weather == Weather::Reset).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Forwards whole messages as the weather lets them; of answers chance may lose some.
async fn messages(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut weather: watch::Receiver<Weather>,
    mut replies: Option<&mut StdRng>,
) -> io::Result<()> {
    let mut losing = false;
    loop {
        let kind = from.read_u8().await?;
        let body = body(from).await?;
        let now = *weather.borrow_and_update();
        match now {
            Weather::Slow(time) => tokio::time::sleep(time).await,
            Weather::Silent => {
                // The sender ends with the proxy, and the connection with it.
                let _ = weather.wait_for(|weather| *weather != Weather::Silent).await;
            }
            Weather::Dead => {
                tokio::time::sleep(DEAD_FOR).await;
                return Ok(());
            }
            // CommandComplete comes before the commit of a statement that is a transaction of its own, ReadyForQuery after it.
            Weather::LostReplies(one_in) if kind == b'C' => {
                losing |= replies.as_mut().is_some_and(|random| random.random_ratio(1, one_in));
            }
            Weather::Clear | Weather::Reset | Weather::LostReplies(_) => (),
        }
        if losing && kind == b'Z' {
            return Ok(());
        }
        if !losing {
            to.write_u8(kind).await?;
            to.write_all(&body).await?;
        }
    }
}

/// A message's length, which counts itself, and what follows.
async fn body(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.resize((length as usize).max(4), 0);
    from.read_exact(&mut bytes[4..]).await?;
    Ok(bytes)
}
