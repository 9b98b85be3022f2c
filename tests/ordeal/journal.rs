//! Files of lines outside PostgreSQL: what was meant, what was acknowledged, what happened. The database is judged by them.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    marker::PhantomData,
    path::Path,
    sync::Mutex,
};

use serde::{Serialize, de::DeserializeOwned};

/// A file that lines of one type are added to. A line is one write, so that a killed process leaves whole lines.
pub struct Journal<T> {
    file: Mutex<File>,
    lines: PhantomData<fn(T)>,
}

impl<T: Serialize> Journal<T> {
    /// Opens a file, or makes it.
    ///
    /// # Errors
    /// The file system's.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file: Mutex::new(file), lines: PhantomData })
    }

    /// Adds a line that outlives the process.
    ///
    /// # Errors
    /// The file system's.
    pub fn add(&self, line: &T) -> io::Result<()> {
        self.write(line).map(drop)
    }

    /// Adds a line that outlives the machine: it is on the disk when this returns.
    ///
    /// # Errors
    /// The file system's.
    pub fn add_synced(&self, line: &T) -> io::Result<()> {
        self.write(line)?.sync_data()
    }

    fn write(&self, line: &T) -> io::Result<std::sync::MutexGuard<'_, File>> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let mut file = self.file.lock().expect("no holder of this lock panics");
        file.write_all(&text)?;
        Ok(file)
    }
}

/// All lines of the files of a folder whose names begin with `prefix`. A last line that is cut short was never said.
///
/// # Errors
/// The file system's, or a line that is nonsense.
pub fn read<T: DeserializeOwned>(folder: &Path, prefix: &str) -> io::Result<Vec<T>> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)) {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            lines.push(serde_json::from_str(line)?);
        }
    }
    Ok(lines)
}
