//! The packer's drop over SFTP: an SSH server on this machine whose folders he and we share.
//!
//! He looks into `orders` whenever somebody comes in: what lies there whole he moves to `read`, or to `refused` with his reason.

mod files;
mod server;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::Utc;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{orders_of, what_left};

/// The folder that is ours.
const FOLDER: &str = "/raw";
/// As whom we come.
const USER: &str = "raw";

/// What goes wrong with one visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// The connection is closed before a word.
    Reset,
    /// Nobody is let in.
    Login,
    /// The first request is never answered.
    Hang,
    /// The connection is closed in the middle of a file that is written.
    Cut,
    /// No room is left for what is written.
    Full,
    /// Nothing may be written.
    Denied,
    /// A file gets its name, and the connection is closed instead of an answer.
    LostReply,
    /// A file gets its name, and no answer comes.
    LateReply,
}

/// A file as it lies there.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub bytes: Arc<Mutex<Vec<u8>>>,
    /// When it was written, in seconds since 1970.
    pub written: u32,
}

/// A drop over SFTP; a clone is the same one.
#[derive(Clone)]
pub struct SftpDrop {
    house: Arc<House>,
    address: SocketAddr,
}

pub(crate) struct House {
    host_key: PrivateKey,
    key: PrivateKey,
    password: String,
    files: Mutex<BTreeMap<String, Stored>>,
    habits: Mutex<Habits>,
    mishaps: Mutex<VecDeque<Option<Mishap>>>,
    /// The file whose opening is never answered.
    stuck: Mutex<Option<String>>,
}

/// How the packer behaves.
#[derive(Debug, Clone, Default)]
struct Habits {
    reads: bool,
    refuses: Option<String>,
    sends_at_once: bool,
}

impl SftpDrop {
    /// Opens the drop on a free port of this machine, until `shutdown`, with keys of its own; the packer reads what he gets.
    ///
    /// # Errors
    /// When no port is to be had, or no key can be made.
    pub async fn start(password: &str, shutdown: CancellationToken) -> io::Result<Self> {
        let key = || PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).map_err(io::Error::other);
        let house = Arc::new(House {
            host_key: key()?,
            key: key()?,
            password: password.into(),
            files: Mutex::default(),
            habits: Mutex::new(Habits { reads: true, ..Habits::default() }),
            mishaps: Mutex::default(),
            stuck: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(server::serve(listener, Arc::clone(&house), shutdown));
        Ok(Self { house, address })
    }

    /// Its address, as the settings have it.
    pub fn url(&self) -> String {
        format!("sftp://{USER}@{}{FOLDER}", self.address)
    }

    /// The key by which it is known, in one line.
    ///
    /// # Panics
    /// Never: the key was made by this program.
    pub fn host_key(&self) -> String {
        self.house.host_key.public_key().to_openssh().expect("a key of this program can be written")
    }

    /// The private key that it lets in, as OpenSSH writes it.
    ///
    /// # Panics
    /// Never: the key was made by this program.
    pub fn key(&self) -> String {
        self.house.key.to_openssh(LineEnding::LF).expect("a key of this program can be written").to_string()
    }

    /// Every file, by its path in our folder.
    ///
    /// # Panics
    /// Never: no holder of the lock panics.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let named = |(path, file): (&String, &Stored)| {
            let bytes = file.bytes.lock().expect("no holder of this lock panics").clone();
            (path.trim_start_matches(FOLDER).trim_start_matches('/').to_owned(), bytes)
        };
        self.house.files().iter().map(named).collect()
    }

    /// The orders that he would pack, as often as whole files have them.
    pub fn orders(&self) -> Vec<String> {
        let files = self.files();
        let whole = files.iter().filter(|(path, _)| path.starts_with("orders/") && !path.contains("/.") && !path.contains("/refused/"));
        whole.flat_map(|(_, bytes)| orders_of(bytes)).collect()
    }

    /// He lays out a file of what has left, an hour ago.
    pub fn lay_out(&self, name: &str, text: &str) {
        let written = now().saturating_sub(3_600);
        self.house.put(&format!("dispatches/{name}"), text.as_bytes(), written);
    }

    /// Whether he reads what he gets.
    pub fn reads(&self, reads: bool) {
        self.house.habits().reads = reads;
    }

    /// From now on he refuses what he reads, with these words.
    pub fn refuse(&self, words: Option<&str>) {
        self.house.habits().refuses = words.map(str::to_owned);
    }

    /// From now on he sends what he has read at once, and lays out a file that says so.
    pub fn send_at_once(&self) {
        self.house.habits().sends_at_once = true;
    }

    /// Somebody takes a file away; whether it was there.
    pub fn take_away(&self, path: &str) -> bool {
        self.house.files().remove(&format!("{FOLDER}/{path}")).is_some()
    }

    /// From now on whoever opens this file gets no answer; none: everybody does.
    ///
    /// # Panics
    /// Never: no holder of the lock panics.
    pub fn stick(&self, path: Option<&str>) {
        *self.house.stuck.lock().expect("no holder of this lock panics") = path.map(|path| format!("{FOLDER}/{path}"));
    }

    /// Somebody lays a file there, at this path of our folder.
    pub fn lay(&self, path: &str, text: &str) {
        self.house.put(path, text.as_bytes(), now());
    }

    /// These go wrong, one a visit; none: nothing is wrong with that one.
    ///
    /// # Panics
    /// Never: no holder of the lock panics.
    pub fn ask(&self, mishaps: impl IntoIterator<Item = Option<Mishap>>) {
        self.house.mishaps.lock().expect("no holder of this lock panics").extend(mishaps);
    }
}

impl House {
    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Stored>> {
        self.files.lock().expect("no holder of this lock panics")
    }

    fn habits(&self) -> MutexGuard<'_, Habits> {
        self.habits.lock().expect("no holder of this lock panics")
    }

    fn is_stuck(&self, path: &str) -> bool {
        self.stuck.lock().expect("no holder of this lock panics").as_deref() == Some(path)
    }

    fn next_mishap(&self) -> Option<Mishap> {
        self.mishaps.lock().expect("no holder of this lock panics").pop_front().flatten()
    }

    fn put(&self, path: &str, bytes: &[u8], written: u32) {
        let stored = Stored { bytes: Arc::new(Mutex::new(bytes.to_vec())), written };
        self.files().insert(format!("{FOLDER}/{path}"), stored);
    }

    /// The packer looks into `orders`.
    fn look(&self) {
        let habits = self.habits().clone();
        if !habits.reads {
            return;
        }
        let orders = format!("{FOLDER}/orders/");
        let whole = |path: &String| path.strip_prefix(&orders).is_some_and(|name| !name.starts_with('.') && !name.contains('/'));
        let found: Vec<(String, Stored)> = self.files().extract_if(.., |path, _| whole(path)).collect();
        for (path, file) in found {
            let name = path.trim_start_matches(&orders).to_owned();
            let bytes = file.bytes.lock().expect("no holder of this lock panics").clone();
            match &habits.refuses {
                Some(why) => {
                    self.put(&format!("orders/refused/{name}"), &bytes, file.written);
                    self.put(&format!("orders/refused/{name}.reason"), why.as_bytes(), file.written);
                }
                None => self.put(&format!("orders/read/{name}"), &bytes, file.written),
            }
            if habits.sends_at_once && habits.refuses.is_none() {
                let left = what_left(&bytes, Utc::now());
                self.put(&format!("dispatches/left of {name}"), left.as_bytes(), now().saturating_sub(3_600));
            }
        }
    }
}

/// Seconds since 1970.
fn now() -> u32 {
    Utc::now().timestamp() as u32
}
