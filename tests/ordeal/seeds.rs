//! Seeds that failed once: kept for ever, with what they found, and run again in every long run.

use std::{fs, io, path::Path};

use crate::report::Report;

/// Writes down a seed that failed.
///
/// # Errors
/// The file system's.
pub fn keep(folder: &Path, report: &Report) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join(format!("{}.txt", report.seed)), report.to_string())
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
