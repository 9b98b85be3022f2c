//! The inputs that are kept, a folder a target.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::Target;

/// Where the committed inputs are.
pub fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))
}

/// The inputs of a target, in the order of their names.
///
/// # Errors
/// When they cannot be read.
pub fn of(folder: &Path, target: &Target) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(folder.join(target.name))? {
        let entry = entry?;
        inputs.push((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?));
    }
    inputs.sort();
    Ok(inputs)
}

/// Keeps an input under a name that follows from its bytes.
///
/// # Errors
/// When it cannot be written.
pub fn keep(folder: &Path, target: &Target, input: &[u8]) -> io::Result<PathBuf> {
    let folder = folder.join(target.name);
    fs::create_dir_all(&folder)?;
    let digest = Sha256::digest(input);
    let name = digest.iter().take(6).fold("found-".to_owned(), |name, byte| name + &format!("{byte:02x}"));
    let path = folder.join(name);
    fs::write(&path, input)?;
    Ok(path)
}
