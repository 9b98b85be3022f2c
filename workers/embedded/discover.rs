//! Which PostgreSQL server to use. The order is the table in `lib.rs`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::conf::Record;
use crate::environment::Environment;
use crate::error::Error;
use crate::fetch;
use crate::home::{Data, Home};
use crate::root::Account;
use crate::server::{OLDEST, Server};

/// What the `RAWOPS_PG…` variables ask for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    bindir: Option<PathBuf>,
    private_only: bool,
    system_only: bool,
    never_fetch: bool,
}

impl Request {
    /// Reads the variables; an unknown value is an error, not a default.
    pub fn read(environment: &Environment) -> Result<Self, Error> {
        let text = |name| environment.get(name).map(|value| value.to_string_lossy().into_owned());
        let mut request = Self { bindir: environment.get("RAWOPS_PG_BIN").map(PathBuf::from), ..Self::default() };
        match text("RAWOPS_PG").as_deref() {
            None => {}
            Some("private") => request.private_only = true,
            Some("system") => request.system_only = true,
            Some(other) => return Err(unknown("RAWOPS_PG", other, "`private` or `system`")),
        }
        match text("RAWOPS_PG_DOWNLOAD").as_deref() {
            None => {}
            Some("never") => request.never_fetch = true,
            Some(other) => return Err(unknown("RAWOPS_PG_DOWNLOAD", other, "`never`")),
        }
        Ok(request)
    }

    /// A short name for the choice, for folders that must not be shared between choices.
    pub fn label(&self) -> String {
        match &self.bindir {
            Some(bindir) => format!("bin-{}", crate::home::short_hash(bindir)),
            None if self.private_only => "private".to_owned(),
            None if self.system_only => "system".to_owned(),
            None => "any".to_owned(),
        }
    }
}

fn unknown(variable: &'static str, value: &str, known: &str) -> Error {
    Error::Asked {
        variable,
        value: value.to_owned(),
        reason: "is no value it knows".to_owned(),
        cure: format!("Set it to {known}, or unset it"),
    }
}

/// A server and where it came from, in words.
pub(crate) type Found = (Server, &'static str);

/// The search for one home: collects why each candidate would not do.
pub(crate) struct Search<'a> {
    pub home: &'a Home,
    pub environment: &'a Environment,
    pub request: &'a Request,
    pub refused: Vec<String>,
}

impl Search<'_> {
    /// The first server that will do; with `data`, one of the version that made it.
    pub fn run(&mut self, data: Option<(&Data, Option<&Record>)>, report: &mut crate::Report<'_>) -> Result<Found, Error> {
        let major = data.map(|(data, _)| data.major);
        if let Some((data, _)) = data.filter(|(data, _)| data.major < OLDEST) {
            let reason = format!("{OLDEST} is the oldest that works");
            return Err(wrong_major(data, &reason));
        }
        if let Some(bindir) = &self.request.bindir {
            return self.named(bindir, data.map(|(data, _)| data));
        }
        if let Some(record) = data.and_then(|(_, record)| record)
            && let Some(found) = self.recorded(record, major)
        {
            return Ok(found);
        }
        if let Some(server) = self.system(major) {
            return Ok((server, "the system's"));
        }
        if let Some(server) = self.private(major, report) {
            return Ok((server, "the private one"));
        }
        let tried = self.refused.join("; ");
        Err(match data {
            Some((data, _)) => wrong_major(data, &format!("no server of that version is here ({tried})")),
            None => Error::NoServer { tried, cure: install_line(self.environment) },
        })
    }

    fn named(&self, bindir: &Path, data: Option<&Data>) -> Result<Found, Error> {
        let server = self.probe(bindir).map_err(|reason| Error::Asked {
            variable: "RAWOPS_PG_BIN",
            value: bindir.display().to_string(),
            reason,
            cure: format!(
                "Point it at the bin folder of a PostgreSQL {OLDEST} or newer with citext and \
                 pg_trgm, or unset it"
            ),
        })?;
        match data.filter(|data| data.major != server.major) {
            None => Ok((server, "RAWOPS_PG_BIN")),
            Some(data) => Err(wrong_major(data, &format!("RAWOPS_PG_BIN={} is {}", bindir.display(), server.version))),
        }
    }

    /// The very server that made the data, unless another source is asked for.
    fn recorded(&mut self, record: &Record, major: Option<u32>) -> Option<Found> {
        let private = fetch::is_private(&record.bindir);
        if (self.request.private_only && !private) || (self.request.system_only && private) {
            return None;
        }
        let server = self.candidate(&record.bindir, major)?;
        Some((server, "the one that made the data"))
    }

    fn system(&mut self, major: Option<u32>) -> Option<Server> {
        if self.request.private_only {
            self.refused.push("RAWOPS_PG=private leaves the system's out".to_owned());
            return None;
        }
        let mut seen = BTreeSet::new();
        let places = system_places(self.environment);
        if places.is_empty() {
            self.refused.push("the system has none".to_owned());
        }
        places.into_iter().filter(|place| seen.insert(place.clone())).find_map(|place| self.candidate(&place, major))
    }

    fn private(&mut self, major: Option<u32>, report: &mut crate::Report<'_>) -> Option<Server> {
        if self.request.system_only {
            self.refused.push("RAWOPS_PG=system forbids the private one".to_owned());
            return None;
        }
        if major.is_some_and(|major| major != fetch::MAJOR) {
            self.refused.push(format!("the private one is {}", fetch::VERSION));
            return None;
        }
        let account = self.home.account.as_ref();
        let fetched = fetch::place(self.environment, account).filter(|place| place.exists());
        if let Some(server) = fetched.and_then(|place| self.candidate(&place, major)) {
            return Some(server);
        }
        if self.request.never_fetch {
            self.refused.push("RAWOPS_PG_DOWNLOAD=never forbids to fetch the private one".to_owned());
            return None;
        }
        match fetch::fetch(self.environment, account, report) {
            Ok(bindir) => self.candidate(&bindir, major),
            Err(reason) => {
                self.refused.push(reason);
                None
            }
        }
    }

    /// Probes a folder and remembers why it would not do.
    fn candidate(&mut self, bindir: &Path, major: Option<u32>) -> Option<Server> {
        let refusal = match self.probe(bindir) {
            Ok(server) if major.is_none_or(|major| major == server.major) => return Some(server),
            Ok(server) => format!("is PostgreSQL {}", server.version),
            Err(reason) => reason,
        };
        let refusal = format!("{} {refusal}", bindir.display());
        if !self.refused.contains(&refusal) {
            self.refused.push(refusal);
        }
        None
    }

    fn probe(&self, bindir: &Path) -> Result<Server, String> {
        let account: Option<&Account> = self.home.account.as_ref();
        Server::probe(bindir, self.environment, account)
    }
}

/// Folders that may hold a server: PATH with its links followed, what pg_config says, and the
/// places where distributions put it.
fn system_places(environment: &Environment) -> Vec<PathBuf> {
    let resolved = |path: PathBuf| path.canonicalize().ok();
    let on_path = environment.programs("postgres").filter_map(resolved).filter_map(|program| program.parent().map(Path::to_owned));
    let mut places: Vec<PathBuf> = on_path.collect();
    let told = environment.program("pg_config").and_then(|program| {
        let output = environment.server_command(&program).arg("--bindir").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        Some(PathBuf::from(text.trim()))
    });
    places.extend(told.into_iter().chain(environment.places()).filter_map(resolved));
    // pg_config alone proves nothing: a client library brings it too.
    places.retain(|place| place.join("postgres").is_file());
    places
}

fn wrong_major(data: &Data, reason: &str) -> Error {
    Error::WrongMajor {
        data: data.path.clone(),
        major: data.major,
        reason: reason.to_owned(),
        cure: format!(
            "Install PostgreSQL {} or name its programs in RAWOPS_PG_BIN; to begin anew, move the folder aside (nothing was changed in it)",
            data.major
        ),
    }
}

/// The line to type on this kind of system.
fn install_line(environment: &Environment) -> String {
    let managers = [
        ("apt-get", "apt-get install -y --no-install-recommends postgresql"),
        ("dnf", "dnf install -y postgresql-server postgresql-contrib"),
        ("zypper", "zypper install -y postgresql-server postgresql-contrib"),
        ("pacman", "pacman -S --noconfirm postgresql"),
        ("apk", "apk add postgresql postgresql-contrib"),
        ("brew", "brew install postgresql@17"),
    ];
    let here = managers.iter().find(|(name, _)| environment.program(name).is_some());
    let line = here.map_or("postgresql 14 or newer with its contrib modules", |(_, line)| line);
    format!(
        "Install one with `{line}`, or install Python 3 with pip so that the private one can be \
         fetched, or set DATABASE_URL to a server of yours"
    )
}
