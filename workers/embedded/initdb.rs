//! A new, empty cluster in a data folder that did not exist before.
//!
//! It is made as `data-new` and renamed when it is whole: a data folder that has its name is
//! finished, and what a killed `initdb` left behind is worth nothing.

use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use crate::conf::{Profile, Record};
use crate::environment::Environment;
use crate::error::{Error, io, writing};
use crate::home::{Data, Home};
use crate::root::{give, run_as};
use crate::server::Server;

const CONF: &str = "profile.conf";

/// Makes the cluster. Only under the start lock.
pub(crate) fn create(home: &Home, environment: &Environment, server: &Server, profile: Profile) -> Result<Data, Error> {
    let new = home.dir.join("data-new");
    if new.exists() {
        fs::remove_dir_all(&new).map_err(writing("cannot clear away", &home.dir, &new))?;
    }
    DirBuilder::new().mode(0o700).create(&new).map_err(writing("cannot make", &home.dir, &new))?;
    give(&new, home.account.as_ref())?;
    let mut command = environment.server_command(&server.bindir.join("initdb"));
    command.arg("-D").arg(&new).args(profile.initdb_args(server.major));
    run_as(&mut command, home.account.as_ref());
    let failed = |output: String| Error::Initdb { data: new.clone(), output };
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(failed(text.trim().replace('\n', "; ")));
    }
    include_profile(&new)?;
    let data = home.data_of(server.major);
    // Before the folder has its name: a data folder without a record counts as a kept one.
    write_record(&data, server, profile)?;
    fs::rename(&new, &data.path).map_err(io("cannot rename data-new to", &data.path))?;
    Ok(data)
}

/// Lets the server's configuration end with the settings of the profile.
fn include_profile(data: &Path) -> Result<(), Error> {
    let path = data.join("postgresql.conf");
    let sample = fs::read_to_string(&path).map_err(io("cannot read", &path))?;
    let text = format!("{sample}\ninclude_if_exists = '{CONF}'\n");
    // initdb has synced everything before; without this line fsync and the network would be open
    // to the defaults.
    let mut file = File::create(&path).map_err(io("cannot write", &path))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io("cannot write", &path))
}

/// Writes the settings of the profile into the data folder, and beside it which server runs it.
pub(crate) fn write_conf(home: &Home, data: &Data, server: &Server, profile: Profile) -> Result<(), Error> {
    let path = data.path.join(CONF);
    fs::write(&path, profile.conf()).map_err(io("cannot write", &path))?;
    give(&path, home.account.as_ref())?;
    write_record(data, server, profile)
}

fn write_record(data: &Data, server: &Server, profile: Profile) -> Result<(), Error> {
    let record = Record { bindir: server.bindir.clone(), version: server.version.clone(), profile: profile.name().to_owned() };
    let path = record_path(data);
    fs::write(&path, record.write()).map_err(io("cannot write", &path))
}

/// What is known of the server that made a data folder.
pub(crate) fn read_record(data: &Data) -> Option<Record> {
    let text = fs::read_to_string(record_path(data)).ok()?;
    Record::read(&text)
}

fn record_path(data: &Data) -> std::path::PathBuf {
    data.path.with_extension("txt")
}
