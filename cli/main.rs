//! The `rawops` command.
fn main() {}
