//! The way from a namespace to the outside system, which is no network's: whoever is cut off from the database still reaches
//! what is outside, as a worker with two ways out does.
//!
//! ```text
//! worker ─▶ a port of its namespace ─▶ a socket in the file system ─▶ the port of the outside system
//! ```

use std::{
    fs, io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    task::{JoinHandle, JoinSet},
};

/// The end of the outside system. Its connections end with it.
#[derive(Debug)]
pub struct Relay {
    socket: PathBuf,
    accepting: JoinHandle<()>,
}

impl Relay {
    /// Takes connections at a socket of its own, for a port of this machine.
    ///
    /// # Errors
    /// The operating system's.
    pub fn start(port: u16) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Short, because the path of a socket may not be long.
        let name = format!("ordeal-outside-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let socket = std::env::temp_dir().join(name);
        let listener = UnixListener::bind(&socket)?;
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                connections.spawn(join(near, TcpStream::connect((Ipv4Addr::LOCALHOST, port))));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { socket, accepting })
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
        // What stays is empty.
        let _ = fs::remove_file(&self.socket);
    }
}

/// The worker's end: takes connections at a port, which is returned, as long as the process lives.
///
/// # Errors
/// The operating system's.
pub async fn enter(socket: PathBuf) -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let socket = socket.clone();
            tokio::spawn(async move { join(near, UnixStream::connect(socket)).await });
        }
    });
    Ok(port)
}

/// Forwards both ways until one side closes; both are closed then.
async fn join<N, F>(mut near: N, far: impl Future<Output = io::Result<F>>)
where
    N: AsyncRead + AsyncWrite + Unpin,
    F: AsyncRead + AsyncWrite + Unpin,
{
    // However it ends, both connections go.
    if let Ok(mut far) = far.await {
        let _ = copy_bidirectional(&mut near, &mut far).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_said_at_one_end_is_heard_at_the_other() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let outside = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("it can be listened on");
        let relay = Relay::start(outside.local_addr().expect("it has an address").port()).expect("it can be started");
        let port = enter(relay.socket().into()).await.expect("it can be entered");
        let mut near = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("it takes a connection");
        near.write_all(b"mail").await.expect("it takes words");
        let (mut far, _) = outside.accept().await.expect("it comes");
        let mut words = [0; 4];
        far.read_exact(&mut words).await.expect("they come");
        assert_eq!(&words, b"mail");
        drop(far);
        assert_eq!(near.read(&mut words).await.expect("it ends in good order"), 0);
        let socket = relay.socket().to_path_buf();
        drop(relay);
        assert!(!socket.exists());
    }
}
