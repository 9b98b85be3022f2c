//! Finds out whether this machine has what some tests need: a test without its extra is counted as skipped.

use std::path::PathBuf;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(has_faketime)");
    println!("cargo::rustc-check-cfg=cfg(has_pgbouncer)");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=/usr/lib/faketime");
    println!("cargo::rerun-if-changed=/usr/sbin/pgbouncer");
    let poolers = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];
    if let Some(pooler) = poolers.into_iter().find(|path| PathBuf::from(path).exists()) {
        println!("cargo::rustc-cfg=has_pgbouncer");
        println!("cargo::rustc-env=PGBOUNCER={pooler}");
    }
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path().join("faketime"));
    let libraries = folders.chain([PathBuf::from("/usr/lib/faketime")]).map(|folder| folder.join("libfaketimeMT.so.1"));
    if let Some(library) = libraries.into_iter().find(|library| library.exists()) {
        println!("cargo::rustc-cfg=has_faketime");
        println!("cargo::rustc-env=FAKETIME_LIBRARY={}", library.display());
    }
}
