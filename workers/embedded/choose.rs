//! What a folder holds and which server goes with it: the step between the search and the start.

use std::time::Instant;

use crate::conf::{Profile, Record};
use crate::discover::{Request, Search};
use crate::error::Error;
use crate::home::{Data, Home};
use crate::server::Server;
use crate::{Options, Report, initdb, postmaster};

/// The data folder and the server for it; a new cluster where there is none.
pub(crate) fn choose(options: &Options, home: &Home, request: &Request, report: &mut Report<'_>) -> Result<(Data, Server), Error> {
    let begun = Instant::now();
    let data = home.data()?;
    let record = data.as_ref().and_then(initdb::read_record);
    if let Some(data) = &data {
        check_profile(options, data, record.as_ref())?;
    }
    if let (Some(data), Some(record)) = (&data, &record)
        && let Some(server) = running_server(home, data, record)?
    {
        return Ok((data.clone(), server));
    }
    let mut search = Search { home, environment: &options.environment, request, refused: Vec::new() };
    let existing = data.as_ref().map(|data| (data, record.as_ref()));
    let found = match search.run(existing, report) {
        // Tests do not need the data of a server that is gone; the folder stays beside the new one.
        Err(Error::WrongMajor { .. }) if options.profile == Profile::Throwaway => {
            search.refused.clear();
            search.run(None, report)
        }
        found => found,
    };
    let (server, source) = found?;
    let (version, bindir) = (&server.version, server.bindir.display());
    report(&format!("find: PostgreSQL {version}, {source} ({bindir})"), begun.elapsed());
    let data = match data.filter(|data| data.major == server.major) {
        Some(data) => data,
        None => make(options, home, &server, report)?,
    };
    Ok((data, server))
}

/// The server that runs on this data already; discovery is not needed then.
fn running_server(home: &Home, data: &Data, record: &Record) -> Result<Option<Server>, Error> {
    let running = postmaster::find_running(&data.path, &home.log())?;
    Ok(running.map(|_| Server { bindir: record.bindir.clone(), major: data.major, version: record.version.clone() }))
}

fn make(options: &Options, home: &Home, server: &Server, report: &mut Report<'_>) -> Result<Data, Error> {
    let begun = Instant::now();
    let data = initdb::create(home, &options.environment, server, options.profile)?;
    report(&format!("initdb: {}", data.path.display()), begun.elapsed());
    Ok(data)
}

/// A folder whose record is lost counts as kept: that is the side on which nothing is ever deleted.
fn check_profile(options: &Options, data: &Data, record: Option<&Record>) -> Result<(), Error> {
    let wanted = options.profile.name();
    let throwaway = Profile::Throwaway.name();
    let found = match record {
        Some(record) if record.profile == throwaway => throwaway,
        _ => Profile::Kept.name(),
    };
    if found == wanted {
        return Ok(());
    }
    Err(Error::WrongProfile { data: data.path.clone(), found, wanted })
}
