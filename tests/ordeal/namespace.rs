//! Network namespaces: a worker in one of its own reaches the server by TCP over a wire of its own, on which packets can be
//! made to vanish. Nobody is told: no reset, no end, no unreachable host; both kernels send again and again.
//!
//! ```text
//! worker ─ its namespace ─▶ wire (veth) ─▶ this namespace ─ PostgreSQL
//! ```
//!
//! What vanishes is sent to a hardware address that nobody has, so each direction can be cut alone, without a module of the
//! kernel that may be missing. They need root and iproute2, and are left out where a trial of one fails.

mod relay;
mod trial;
mod wire;

use std::{
    fs::{self, File},
    io::{self, Write},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

pub use relay::{Relay, enter};
pub use trial::{absence, notice};
pub use wire::range;
use wire::{BITS, Wire};

/// The name by which a worker knows the primary.
pub const PRIMARY: &str = "primary.ordeal";
/// Where namespaces have their names.
const NAMES: &str = "/run/netns";
/// The worker's end of a wire.
const NEAR: &str = "db";
const SERVERS_MAC: &str = "02:00:00:00:00:01";
const WORKERS_MAC: &str = "02:00:00:00:00:02";
/// Nobody's.
const NOWHERE: &str = "02:00:00:00:00:fe";

/// What vanishes on a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// What the worker sends.
    Requests,
    /// What the server sends.
    Answers,
    /// Everything.
    Both,
}

impl Cut {
    /// The word for it in the ledger.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Answers => "answers",
            Self::Both => "requests and answers",
        }
    }
}

/// A namespace and its wire. Both go with this value.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    link: String,
    wire: Wire,
    hosts: PathBuf,
}

impl Namespace {
    /// Makes one, with a file of its own in a folder.
    ///
    /// # Errors
    /// When it may not be made.
    pub fn make(folder: &Path) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (pid, place) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let name = wire::namespace(pid, place);
        let wire = Wire::choices(pid, place)
            .find_map(|wire| match ip(&["-4", "-o", "addr", "show", "to", &wire.net()], "") {
                Ok(used) => used.is_empty().then_some(Ok(wire)),
                Err(error) => Some(Err(error)),
            })
            .ok_or_else(|| io::Error::other("all addresses are in use"))??;
        ip(&["netns", "add", &name], "")?;
        let hosts = folder.join(format!("hosts-{name}"));
        let made = Self { name, link: wire::link(pid, place), wire, hosts };
        made.lay()?;
        made.leads_to(made.servers()[0])?;
        Ok(made)
    }

    /// Lays the wire.
    fn lay(&self) -> io::Result<()> {
        let Self { name, link, wire, .. } = self;
        ip(
            &["link", "add", link, "address", SERVERS_MAC, "type", "veth", "peer", "name", NEAR, "address", WORKERS_MAC, "netns", name],
            "",
        )?;
        let [one, other] = wire.servers();
        ip(&[], &format!("addr add {one}/{BITS} dev {link}\naddr add {other}/{BITS} dev {link}\nlink set {link} up\n"))?;
        let worker = wire.worker();
        ip(&["-n", name], &format!("addr add {worker}/{BITS} dev {NEAR}\nlink set lo up\nlink set {NEAR} up\n"))?;
        self.mend()
    }

    /// Lets packets vanish, from now on.
    ///
    /// # Errors
    /// When `ip` cannot be run.
    pub fn cut(&self, what: Cut) -> io::Result<()> {
        let mac = |vanishes: bool, right: &'static str| if vanishes { NOWHERE } else { right };
        self.send_to(mac(what != Cut::Answers, SERVERS_MAC), mac(what != Cut::Requests, WORKERS_MAC))
    }

    /// Lets everything through again.
    ///
    /// # Errors
    /// When `ip` cannot be run.
    pub fn mend(&self) -> io::Result<()> {
        self.send_to(SERVERS_MAC, WORKERS_MAC)
    }

    fn send_to(&self, servers: &str, worker: &str) -> io::Result<()> {
        let line = |address: Ipv4Addr, mac: &str, link: &str| format!("neigh replace {address} lladdr {mac} dev {link} nud permanent\n");
        let requests: String = self.servers().map(|server| line(server, servers, NEAR)).concat();
        ip(&["-n", &self.name], &requests)?;
        ip(&[], &line(self.wire.worker(), worker, &self.link)).map(drop)
    }

    /// The worker's address.
    pub fn worker(&self) -> Ipv4Addr {
        self.wire.worker()
    }

    /// Where servers listen, every other one at one of them.
    pub fn servers(&self) -> [Ipv4Addr; 2] {
        self.wire.servers()
    }

    /// Gives the primary's name an address, for connections from now on.
    ///
    /// # Errors
    /// The file system's.
    pub fn leads_to(&self, address: Ipv4Addr) -> io::Result<()> {
        // Always as long, and in one piece: whoever reads it meanwhile finds a name in it.
        let text = format!("127.0.0.1       localhost\n{:<15} {PRIMARY}\n", address.to_string());
        File::options().create(true).truncate(false).write(true).open(&self.hosts)?.write_all(text.as_bytes())
    }

    /// What runs a program in it, which is to be added with its arguments; the process is the program's.
    pub fn command(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={NAMES}/{}", self.name));
        command
            .args(["unshare", "--mount", "--propagation", "slave", "/bin/sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\""])
            .arg(&self.hosts);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // What cannot be taken away now is swept away by the next run. The link first: with the namespace it would go later.
        let _ = ip(&["link", "del", &self.link], "");
        let _ = ip(&["netns", "del", &self.name], "");
        let _ = fs::remove_file(&self.hosts);
    }
}

/// Runs `ip` with these words, or with a batch of lines; returns what it says.
fn ip(words: &[&str], batch: &str) -> io::Result<String> {
    let mut command = Command::new("ip");
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if !batch.is_empty() {
        command.args(["-batch", "-"]);
    }
    let mut child = command.spawn().map_err(|error| io::Error::new(error.kind(), format!("iproute2 is not there: {error}")))?;
    // Its end goes with this statement, which ends the batch.
    child.stdin.take().map_or(Ok(()), |mut lines| lines.write_all(batch.as_bytes()))?;
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(io::Error::other(format!("ip {}: {words}", command.get_args().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "))))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        net::TcpListener,
        panic::{AssertUnwindSafe, catch_unwind},
    };

    use super::{
        trial::{PATIENCE, SILENCE, tests::made},
        *,
    };

    pub fn is_there(name: &str) -> bool {
        Path::new(NAMES).join(name).exists()
    }

    #[test]
    fn what_is_sent_over_a_cut_wire_comes_when_it_is_mended_and_nobody_was_told() {
        const SPEAK: &str = "exec 3<>/dev/tcp/$0/$1; echo asked >&3; read -r answer <&3; echo \"heard $answer\" >&3";
        let Some(namespace) = made() else { return };
        let listener = TcpListener::bind((namespace.servers()[1], 0)).expect("it can be listened on");
        let there = listener.local_addr().expect("it has an address");
        let speak = namespace.command().args(["bash", "-c", SPEAK, &there.ip().to_string(), &there.port().to_string()]).spawn();
        let (mut server, _) = listener.accept().expect("it comes");
        let mut worker = speak.expect("it was started");
        let mut lines = BufReader::new(server.try_clone().expect("a second handle"));
        let mut line = String::new();
        namespace.cut(Cut::Answers).expect("it can be cut");
        lines.read_line(&mut line).expect("requests come through");
        server.write_all(b"late\n").expect("nobody says no");
        server.set_read_timeout(Some(SILENCE)).expect("it takes a limit");
        let early = lines.read_line(&mut line).map_err(|error| error.kind());
        assert_eq!(early, Err(io::ErrorKind::WouldBlock), "an answer came through: {line}");
        namespace.mend().expect("it can be mended");
        server.set_read_timeout(Some(PATIENCE)).expect("it takes a limit");
        lines.read_line(&mut line).expect("it was sent again");
        assert_eq!(line, "asked\nheard late\n");
        assert!(worker.wait().expect("it ends").success());
    }

    #[test]
    fn a_process_in_a_namespace_finds_the_primary_where_it_is_now() {
        let Some(namespace) = made() else { return };
        let find = || {
            let output = namespace.command().args(["getent", "hosts", PRIMARY]).output().expect("it can be run");
            String::from_utf8_lossy(&output.stdout).split_whitespace().next().map(ToOwned::to_owned)
        };
        let [one, other] = namespace.servers().map(|address| Some(address.to_string()));
        assert_eq!(find(), one);
        namespace.leads_to(namespace.servers()[1]).expect("its file can be written");
        assert_eq!(find(), other);
    }

    #[test]
    fn a_namespace_goes_with_its_value_also_after_a_panic() {
        let Some(namespace) = made() else { return };
        let (name, link, hosts) = (namespace.name.clone(), namespace.link.clone(), namespace.hosts.clone());
        assert!(is_there(&name) && hosts.exists());
        let ended = catch_unwind(AssertUnwindSafe(move || {
            let _dropped = namespace;
            panic!("a run ends");
        }));
        assert!(ended.is_err());
        assert!(!is_there(&name) && !hosts.exists());
        assert!(ip(&["link", "show", &link], "").is_err(), "{link} is still there");
    }
}
