//! What the tests share: a database each, kinds of job made for testing, worker processes to kill.

pub mod database;
pub mod drain;
pub mod kinds;
pub mod process;
pub mod wait;

pub use database::Database;
pub use drain::run_all;
