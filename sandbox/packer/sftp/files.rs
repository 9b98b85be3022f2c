//! The files of the drop, as SFTP asks for them.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex};

use russh_sftp::protocol::{Attrs, Data, File, FileAttributes, FileMode, Handle, Name, OpenFlags, Status, StatusCode};
use russh_sftp::server::Handler;
use tokio_util::sync::CancellationToken;

use super::{FOLDER, House, Mishap, Stored, now};

/// The folders that are there.
const FOLDERS: [&str; 4] = ["orders", "orders/read", "orders/refused", "dispatches"];

/// One visit, with what it has open.
pub(super) struct Visit {
    house: Arc<House>,
    mishap: Option<Mishap>,
    end: CancellationToken,
    opened: u32,
    files: BTreeMap<String, Arc<Mutex<Vec<u8>>>>,
    listings: BTreeMap<String, Vec<File>>,
}

impl Visit {
    pub(super) fn new(house: Arc<House>, mishap: Option<Mishap>, end: CancellationToken) -> Self {
        Self { house, mishap, end, opened: 0, files: BTreeMap::new(), listings: BTreeMap::new() }
    }

    /// Goes wrong here, if that is what this visit is to meet with.
    async fn meet(&self, mishap: Mishap) -> Result<(), StatusCode> {
        if self.mishap != Some(mishap) {
            return Ok(());
        }
        match mishap {
            Mishap::Denied => Err(StatusCode::PermissionDenied),
            Mishap::Full => Err(StatusCode::Failure),
            Mishap::Hang | Mishap::LateReply => pending().await,
            Mishap::Reset | Mishap::Login | Mishap::Cut | Mishap::LostReply => {
                self.end.cancel();
                pending().await
            }
        }
    }

    fn handle(&mut self) -> String {
        self.opened += 1;
        self.opened.to_string()
    }

    fn is_in_folder(path: &str) -> bool {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        FOLDERS.iter().any(|known| folder == format!("{FOLDER}/{known}"))
    }
}

fn ok(id: u32) -> Status {
    Status { id, status_code: StatusCode::Ok, error_message: "Ok".into(), language_tag: "en".into() }
}

fn attributes(file: &Stored) -> FileAttributes {
    let size = file.bytes.lock().expect("no holder of this lock panics").len();
    FileAttributes {
        size: Some(size as u64),
        permissions: Some(FileMode::REG.bits() | 0o644),
        mtime: Some(file.written),
        atime: Some(file.written),
        ..FileAttributes::empty()
    }
}

impl Handler for Visit {
    type Error = StatusCode;

    fn unimplemented(&self) -> Self::Error {
        StatusCode::OpUnsupported
    }

    async fn open(&mut self, id: u32, path: String, flags: OpenFlags, _: FileAttributes) -> Result<Handle, Self::Error> {
        self.meet(Mishap::Hang).await?;
        if self.house.is_stuck(&path) {
            pending::<()>().await;
        }
        if flags.contains(OpenFlags::WRITE) {
            self.meet(Mishap::Denied).await?;
        }
        let bytes = {
            let mut files = self.house.files();
            match files.get(&path) {
                Some(file) => Arc::clone(&file.bytes),
                None if flags.contains(OpenFlags::CREATE) && Self::is_in_folder(&path) => {
                    let made = Stored { bytes: Arc::default(), written: now() };
                    let bytes = Arc::clone(&made.bytes);
                    files.insert(path, made);
                    bytes
                }
                None => return Err(StatusCode::NoSuchFile),
            }
        };
        if flags.contains(OpenFlags::TRUNCATE) {
            bytes.lock().expect("no holder of this lock panics").clear();
        }
        let handle = self.handle();
        self.files.insert(handle.clone(), bytes);
        Ok(Handle { id, handle })
    }

    async fn close(&mut self, id: u32, handle: String) -> Result<Status, Self::Error> {
        let was_open = self.files.remove(&handle).is_some() | self.listings.remove(&handle).is_some();
        if was_open { Ok(ok(id)) } else { Err(StatusCode::Failure) }
    }

    async fn read(&mut self, id: u32, handle: String, offset: u64, len: u32) -> Result<Data, Self::Error> {
        let bytes = self.files.get(&handle).ok_or(StatusCode::Failure)?.lock().expect("no holder of this lock panics");
        let rest = bytes.get(offset as usize..).filter(|rest| !rest.is_empty()).ok_or(StatusCode::Eof)?;
        Ok(Data { id, data: rest[..rest.len().min(len as usize)].to_vec() })
    }

    async fn write(&mut self, id: u32, handle: String, offset: u64, data: Vec<u8>) -> Result<Status, Self::Error> {
        self.meet(Mishap::Full).await?;
        let written = if self.mishap == Some(Mishap::Cut) { &data[..data.len() / 2] } else { &data[..] };
        {
            let mut bytes = self.files.get(&handle).ok_or(StatusCode::Failure)?.lock().expect("no holder of this lock panics");
            let (begin, end) = (offset as usize, offset as usize + written.len());
            let length = bytes.len().max(end);
            bytes.resize(length, 0);
            bytes[begin..end].copy_from_slice(written);
        }
        self.meet(Mishap::Cut).await?;
        Ok(ok(id))
    }

    async fn stat(&mut self, id: u32, path: String) -> Result<Attrs, Self::Error> {
        self.house.files().get(&path).map(|file| Attrs { id, attrs: attributes(file) }).ok_or(StatusCode::NoSuchFile)
    }

    async fn remove(&mut self, id: u32, path: String) -> Result<Status, Self::Error> {
        self.house.files().remove(&path).map(|_| ok(id)).ok_or(StatusCode::NoSuchFile)
    }

    async fn rename(&mut self, id: u32, from: String, to: String) -> Result<Status, Self::Error> {
        {
            let mut files = self.house.files();
            if files.contains_key(&to) || !Self::is_in_folder(&to) {
                return Err(StatusCode::Failure);
            }
            let file = files.remove(&from).ok_or(StatusCode::NoSuchFile)?;
            files.insert(to, file);
        }
        self.meet(Mishap::LostReply).await?;
        self.meet(Mishap::LateReply).await?;
        Ok(ok(id))
    }

    async fn opendir(&mut self, id: u32, path: String) -> Result<Handle, Self::Error> {
        self.meet(Mishap::Hang).await?;
        if !FOLDERS.iter().any(|known| path == format!("{FOLDER}/{known}")) {
            return Err(StatusCode::NoSuchFile);
        }
        let inside = format!("{path}/");
        let named = |(path, file): (&String, &Stored)| {
            let name = path.strip_prefix(&inside)?;
            (!name.contains('/')).then(|| File::new(name, attributes(file)))
        };
        let listing: Vec<File> = self.house.files().iter().filter_map(named).collect();
        let handle = self.handle();
        self.listings.insert(handle.clone(), listing);
        Ok(Handle { id, handle })
    }

    async fn readdir(&mut self, id: u32, handle: String) -> Result<Name, Self::Error> {
        let files = std::mem::take(self.listings.get_mut(&handle).ok_or(StatusCode::Failure)?);
        if files.is_empty() { Err(StatusCode::Eof) } else { Ok(Name { id, files }) }
    }
}
