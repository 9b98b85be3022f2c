//! Seeds that failed once: kept for ever, with what they found, and run again in every long run.

use std::{fs, io, path::Path};

/// Writes down a seed whose run failed, or came to nothing, with what was found or said.
///
/// # Errors
/// The file system's.
pub fn keep(folder: &Path, seed: u64, what: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join(format!("{seed}.txt")), what)
}

/// The seeds that were kept, in order.
///
/// # Errors
/// The file system's.
pub fn kept(folder: &Path) -> io::Result<Vec<u64>> {
    let mut seeds = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            seeds.extend(path.file_stem().and_then(|name| name.to_string_lossy().parse::<u64>().ok()));
        }
    }
    seeds.sort_unstable();
    Ok(seeds)
}
