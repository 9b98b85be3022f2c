//! One visit to a drop: connected, let in, a few requests, and gone.
//!
//! The whole visit has a deadline, and whatever is read has a limit, so that no drop holds a worker.

use std::{
    borrow::Cow,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use engine::Category;
use russh::{
    ChannelMsg, Disconnect, Preferred,
    client::{self, Handle},
    keys::{HashAlg, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate},
};
use russh_sftp::{
    client::{RawSftpSession, error::Error},
    protocol::{FileAttributes, OpenFlags, StatusCode},
};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};

use super::{
    super::{
        super::http::{CallError, Reached, Redactor},
        SYSTEM,
    },
    Login,
};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of one request; every server takes as many.
const CHUNK: usize = 32 * 1024;
/// Names of one folder that are looked at.
const NAMES: usize = 2_000;

/// A visit.
pub(super) struct Session {
    ssh: Handle<Guard>,
    sftp: RawSftpSession,
    until: Instant,
    redactor: Redactor,
}

/// Lets only the drop's own key pass, and keeps what was shown instead.
struct Guard {
    login: Login,
    shown: Arc<Mutex<Option<String>>>,
}

impl client::Handler for Guard {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else { return Ok(false) };
        let is_known = self.login.host_keys.iter().any(|known| known.key_data() == key.key_data());
        if !is_known {
            let print = format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256));
            *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(print);
        }
        Ok(is_known)
    }
}

impl Session {
    /// Connects and logs in; the visit may take so long.
    pub(super) async fn open(login: &Login, time: Duration, redactor: &Redactor) -> Result<Self, CallError> {
        let until = Instant::now() + time;
        let mut ssh = connect(login, until.min(Instant::now() + CONNECT_TIMEOUT), until, redactor).await?;
        let sftp = match timeout_at(until, enter(&mut ssh, login, redactor)).await {
            Ok(entered) => entered?,
            Err(_) => return Err(error(Reached::Nothing, Category::Timeout, "no answer while it was asked to let us in")),
        };
        sftp.set_timeout(time.as_secs() + 1);
        let session = Self { ssh, sftp, until, redactor: redactor.clone() };
        session.ask("it was greeted", session.sftp.init()).await?;
        Ok(session)
    }

    /// Ends the visit. What becomes of that changes nothing.
    pub(super) async fn close(self) {
        let _ = timeout(CONNECT_TIMEOUT, self.ssh.disconnect(Disconnect::ByApplication, "", "en")).await;
    }

    /// Asks one thing; none where there is no such file.
    async fn ask<T>(&self, doing: &str, work: impl Future<Output = Result<T, Error>>) -> Result<Option<T>, CallError> {
        let unknown = |category, words: String| error(Reached::Unknown, category, words);
        match timeout_at(self.until, work).await {
            Err(_) | Ok(Err(Error::Timeout)) => Err(unknown(Category::Timeout, format!("no answer while {doing}"))),
            Ok(Ok(answer)) => Ok(Some(answer)),
            Ok(Err(Error::Status(status))) => match status.status_code {
                StatusCode::NoSuchFile => Ok(None),
                StatusCode::PermissionDenied => {
                    Err(unknown(Category::Auth, format!("permission denied while {doing}: ask the packer for the right to it")))
                }
                StatusCode::NoConnection | StatusCode::ConnectionLost => {
                    Err(unknown(Category::Network, format!("the connection was lost while {doing}")))
                }
                code => {
                    let said = self.redactor.clean(&status.error_message);
                    Err(unknown(Category::Upstream, format!("{code} while {doing}: {said}")))
                }
            },
            Ok(Err(other)) => Err(unknown(Category::Network, format!("the connection failed while {doing}: {other}"))),
        }
    }

    /// The first bytes of a file, up to one beyond `limit`; none where there is none.
    pub(super) async fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, CallError> {
        let doing = format!("{path} was read");
        let Some(file) = self.ask(&doing, self.sftp.open(path, OpenFlags::READ, FileAttributes::empty())).await? else { return Ok(None) };
        let mut bytes = Vec::new();
        while bytes.len() <= limit {
            let length = CHUNK.min(limit + 1 - bytes.len()) as u32;
            let asked = async {
                match self.sftp.read(file.handle.as_str(), bytes.len() as u64, length).await {
                    Err(Error::Status(status)) if status.status_code == StatusCode::Eof => Ok(Vec::new()),
                    answer => answer.map(|data| data.data),
                }
            };
            let part = self.ask(&doing, asked).await?.unwrap_or_default();
            if part.is_empty() {
                break;
            }
            bytes.extend_from_slice(&part);
        }
        bytes.truncate(limit + 1);
        self.ask(&doing, self.sftp.close(file.handle)).await?;
        Ok(Some(bytes))
    }

    /// Makes a file, or opens the one that is there with what it holds; none where its folder is missing.
    pub(super) async fn begin(&self, path: &str) -> Result<Option<String>, CallError> {
        let flags = OpenFlags::WRITE | OpenFlags::CREATE;
        let opened = self.ask(&format!("{path} was made"), self.sftp.open(path, flags, FileAttributes::empty())).await?;
        Ok(opened.map(|file| file.handle))
    }

    /// Writes a file that is open, and closes it.
    pub(super) async fn write(&self, handle: String, path: &str, bytes: &[u8]) -> Result<(), CallError> {
        let doing = format!("{path} was written");
        for (place, part) in bytes.chunks(CHUNK).enumerate() {
            let written = self.ask(&doing, self.sftp.write(handle.as_str(), (place * CHUNK) as u64, part.to_vec())).await?;
            written.ok_or_else(|| error(Reached::Unknown, Category::Upstream, format!("the file is gone while {doing}")))?;
        }
        self.ask(&doing, self.sftp.close(handle)).await?;
        Ok(())
    }

    /// Gives a file another name, which nothing has; whether it was there.
    pub(super) async fn rename(&self, from: &str, to: &str) -> Result<bool, CallError> {
        Ok(self.ask(&format!("{to} got its name"), self.sftp.rename(from, to)).await?.is_some())
    }

    /// Takes a file away, if it is there.
    pub(super) async fn remove(&self, path: &str) -> Result<(), CallError> {
        self.ask(&format!("{path} was taken away"), self.sftp.remove(path)).await.map(|_| ())
    }

    /// What lies in a folder; none where there is none.
    pub(super) async fn list(&self, path: &str) -> Result<Option<Vec<(String, FileAttributes)>>, CallError> {
        let doing = format!("{path} was listed");
        let Some(folder) = self.ask(&doing, self.sftp.opendir(path)).await? else { return Ok(None) };
        let mut found = Vec::new();
        loop {
            let asked = async {
                match self.sftp.readdir(folder.handle.as_str()).await {
                    Err(Error::Status(status)) if status.status_code == StatusCode::Eof => Ok(Vec::new()),
                    answer => answer.map(|names| names.files),
                }
            };
            let part = self.ask(&doing, asked).await?.unwrap_or_default();
            if part.is_empty() {
                break;
            }
            found.extend(part.into_iter().map(|file| (file.filename, file.attrs)));
            if found.len() > NAMES {
                let words = format!("more than {NAMES} files lie in {path}: the packer is to move away what is old");
                return Err(error(Reached::Unknown, Category::Upstream, words));
            }
        }
        self.ask(&doing, self.sftp.close(folder.handle)).await?;
        Ok(Some(found))
    }
}

/// An error of the drop.
pub(super) fn error(reached: Reached, category: Category, words: impl Into<String>) -> CallError {
    CallError::new(SYSTEM, reached, category, words)
}

async fn connect(login: &Login, soon: Instant, until: Instant, redactor: &Redactor) -> Result<Handle<Guard>, CallError> {
    let nothing = |category, words: String| error(Reached::Nothing, category, words);
    let connecting = async { TcpStream::connect(&login.address.resolve().await?[..]).await };
    let stream = match timeout_at(soon, connecting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(nothing(Category::Network, redactor.clean(&format!("it cannot be reached: {error}")))),
        Err(_) => return Err(nothing(Category::Timeout, "no answer while it was connected to".into())),
    };
    // Small requests wait for their answers, one after the other.
    let _ = stream.set_nodelay(true);
    // Only the kinds of the keys that it is known by, or a server with several would show another.
    let kinds: Vec<_> = login.host_keys.iter().map(PublicKey::algorithm).collect();
    let preferred = Preferred { key: Cow::Owned(kinds), ..Preferred::DEFAULT };
    let config =
        client::Config { preferred, inactivity_timeout: Some(until - Instant::now() + CONNECT_TIMEOUT), ..client::Config::default() };
    let shown = Arc::new(Mutex::new(None));
    let guard = Guard { login: login.clone(), shown: Arc::clone(&shown) };
    match timeout_at(until, client::connect_stream(Arc::new(config), stream, guard)).await {
        Err(_) => Err(nothing(Category::Timeout, "no answer while keys were exchanged".into())),
        Ok(Ok(ssh)) => Ok(ssh),
        Ok(Err(russh::Error::UnknownKey)) => {
            let shown = shown.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_else(|| "a certificate".into());
            let words = format!(
                "it shows the key {shown}, which is not that of PACKER_DROP_HOST_KEY: somebody may stand in between; ask the packer"
            );
            Err(nothing(Category::Validation, words))
        }
        Ok(Err(russh::Error::NoCommonAlgo { kind, theirs, .. })) => {
            let theirs = redactor.clean(&theirs.join(", "));
            Err(nothing(Category::Validation, format!("it has no {kind:?} in common with PACKER_DROP_HOST_KEY and us, but {theirs}")))
        }
        Ok(Err(error)) => Err(nothing(Category::Network, redactor.clean(&format!("it cannot be talked to: {error}")))),
    }
}

/// Logs in, by key and then by password, and begins to speak SFTP.
async fn enter(ssh: &mut Handle<Guard>, login: &Login, redactor: &Redactor) -> Result<RawSftpSession, CallError> {
    let failed = |failure: russh::Error| {
        error(Reached::Nothing, Category::Network, redactor.clean(&format!("the connection failed when it let us in: {failure}")))
    };
    let user = login.address.user.as_str();
    let mut is_in = false;
    if let Some(key) = &login.key {
        let key = PrivateKeyWithHashAlg::new(Arc::clone(key), None);
        is_in = ssh.authenticate_publickey(user, key).await.map_err(failed)?.success();
    }
    if let (false, Some(password)) = (is_in, &login.password) {
        is_in = ssh.authenticate_password(user, password.text()).await.map_err(failed)?.success();
    }
    if !is_in && ssh.is_closed() {
        return Err(failed(russh::Error::Disconnect));
    }
    if !is_in {
        let keys = match (&login.key, &login.password) {
            (Some(_), Some(_)) => "PACKER_DROP_KEY and PACKER_DROP_TOKEN",
            (Some(_), None) => "PACKER_DROP_KEY",
            _ => "PACKER_DROP_TOKEN",
        };
        let words = format!("it does not let user {user} in with {keys}: ask the packer which key he knows");
        return Err(error(Reached::Nothing, Category::Auth, words));
    }
    let mut channel = ssh.channel_open_session().await.map_err(failed)?;
    channel.request_subsystem(true, "sftp").await.map_err(failed)?;
    loop {
        match channel.wait().await {
            Some(ChannelMsg::Success) => return Ok(RawSftpSession::new(channel.into_stream())),
            Some(ChannelMsg::Failure) => return Err(error(Reached::Nothing, Category::Validation, "it does not speak SFTP with us")),
            None | Some(ChannelMsg::Close) => return Err(failed(russh::Error::Disconnect)),
            Some(_) => (),
        }
    }
}
