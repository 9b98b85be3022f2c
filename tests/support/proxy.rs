//! A proxy that speaks just enough of PostgreSQL's protocol to lose one request, or one answer.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use tokio::{
    io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    task::JoinHandle,
};

/// Where the connection is cut the next time a statement is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Before the server gets the statement: nothing happens.
    Request,
    /// After the server has committed it and before the client hears of that.
    Reply,
}

impl Cut {
    const NEVER: u8 = 0;

    const fn code(self) -> u8 {
        match self {
            Self::Request => 1,
            Self::Reply => 2,
        }
    }
}

/// The proxy. Its connections end with it.
pub struct Proxy {
    port: u16,
    armed: Arc<AtomicU8>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of this machine, in front of the server with this folder of sockets.
    pub async fn start(socket_dir: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let (socket, armed) = (socket_dir.join(".s.PGSQL.5432"), Arc::new(AtomicU8::new(Cut::NEVER)));
        let arms = armed.clone();
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.expect("the test cluster accepts connections");
                connections.spawn(forward(client, server, arms.clone()));
            }
        });
        Self { port, armed, accepting }
    }

    /// The address of a database behind it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Cuts the connection at the next statement that is executed, once.
    pub fn cut_next(&self, cut: Cut) {
        self.armed.store(cut.code(), Ordering::Release);
    }

    /// Whether the cut that was ordered has happened.
    pub fn has_cut(&self) -> bool {
        self.armed.load(Ordering::Acquire) == Cut::NEVER
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Forwards until one side closes or a cut is due; both sides are closed then.
async fn forward(client: TcpStream, server: UnixStream, armed: Arc<AtomicU8>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let cut_here = |cut: Cut| armed.compare_exchange(cut.code(), Cut::NEVER, Ordering::AcqRel, Ordering::Acquire).is_ok();
    let requests = async {
        let (mut from, mut to) = (from_client, to_server);
        // The first message has no type.
        to.write_all(&body(&mut from).await?).await?;
        messages(&mut from, &mut to, |kind| if kind == b'E' && cut_here(Cut::Request) { Fate::Cut } else { Fate::Pass }).await
    };
    let mut withholding = false;
    let replies = async {
        let (mut from, mut to) = (from_server, to_client);
        messages(&mut from, &mut to, |kind| match kind {
            // CommandComplete comes before the commit of a statement that is a transaction of its own, ReadyForQuery after it.
            b'C' if armed.load(Ordering::Acquire) == Cut::Reply.code() => {
                withholding = true;
                Fate::Withhold
            }
            b'Z' if withholding && cut_here(Cut::Reply) => Fate::Cut,
            _ => Fate::Pass,
        })
        .await
    };
    // However it ends, both connections go.
    let _: io::Result<()> = tokio::select! {
        ended = requests => ended,
        ended = replies => ended,
    };
}

/// What becomes of a message.
enum Fate {
    Pass,
    Withhold,
    Cut,
}

/// Forwards whole messages, as `fate` says of the type of each, until it says to cut.
async fn messages(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut fate: impl FnMut(u8) -> Fate,
) -> io::Result<()> {
    loop {
        let kind = from.read_u8().await?;
        let body = body(from).await?;
        match fate(kind) {
            Fate::Pass => {
                to.write_u8(kind).await?;
                to.write_all(&body).await?;
            }
            Fate::Withhold => (),
            Fate::Cut => return Ok(()),
        }
    }
}

/// A message's length, which counts itself, and what follows.
async fn body(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.resize(length as usize, 0);
    from.read_exact(&mut bytes[4..]).await?;
    Ok(bytes)
}
