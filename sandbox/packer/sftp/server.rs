//! SSH in front of the drop: who is let in, and how a connection breaks on purpose.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey, run_stream};
use russh::{Channel, ChannelId};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::files::Visit;
use super::{House, Mishap, USER};

/// Bytes between the socket and the server.
const BUFFER: usize = 64 * 1024;

/// Listens until `shutdown`.
pub(super) async fn serve(listener: TcpListener, house: Arc<House>, shutdown: CancellationToken) {
    let config = Arc::new(Config {
        keys: vec![house.host_key.clone()],
        // Nobody guesses at a sandbox.
        auth_rejection_time: Duration::from_millis(1),
        nodelay: true,
        ..Config::default()
    });
    while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else { continue };
        let mishap = house.next_mishap();
        if mishap == Some(Mishap::Reset) {
            continue;
        }
        let visitor = Visitor { house: Arc::clone(&house), mishap, channels: BTreeMap::new(), end: shutdown.child_token() };
        tokio::spawn(receive(stream, Arc::clone(&config), visitor));
    }
}

/// Serves one connection, through a pipe that can be cut.
async fn receive(mut stream: TcpStream, config: Arc<Config>, visitor: Visitor) {
    let _ = stream.set_nodelay(true);
    let end = visitor.end.clone();
    let (mut near, far) = tokio::io::duplex(BUFFER);
    tokio::spawn(async move {
        let ended = match run_stream(config, far, visitor).await {
            Ok(session) => session.await,
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a visit to the sandbox's drop ended");
        }
    });
    let _ = end.run_until_cancelled(tokio::io::copy_bidirectional(&mut stream, &mut near)).await;
}

/// Who has come.
struct Visitor {
    house: Arc<House>,
    mishap: Option<Mishap>,
    channels: BTreeMap<ChannelId, Channel<Msg>>,
    end: CancellationToken,
}

impl Visitor {
    fn answer(&self, is_known: bool) -> Auth {
        if is_known && self.mishap != Some(Mishap::Login) { Auth::Accept } else { Auth::reject() }
    }
}

impl Handler for Visitor {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(self.answer(user == USER && password == self.house.password))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(self.answer(user == USER && key.public_key.key_data() == self.house.key.public_key().key_data()))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(&mut self, id: ChannelId, name: &str, session: &mut Session) -> Result<(), Self::Error> {
        let Some(channel) = self.channels.remove(&id).filter(|_| name == "sftp") else { return session.channel_failure(id) };
        self.house.look();
        session.channel_success(id)?;
        let visit = Visit::new(Arc::clone(&self.house), self.mishap, self.end.clone());
        russh_sftp::server::run(channel.into_stream(), visit).await;
        Ok(())
    }
}
