//! Finds out whether this machine has what fetches the private server: a test that needs it is counted as skipped where
//! it is absent.

use std::process::{Command, Stdio};

fn main() {
    println!("cargo::rustc-check-cfg=cfg(can_fetch)");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-changed=build.rs");
    let runs = |program: &str, arguments: &[&str]| {
        Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    if runs("python3", &["-m", "pip", "--version"]) || runs("uv", &["--version"]) {
        println!("cargo::rustc-cfg=can_fetch");
    }
}
