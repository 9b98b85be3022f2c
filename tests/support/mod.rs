//! What the tests share: a database each, kinds of job made for testing, worker processes to kill.

pub mod broken;
pub mod clock;
pub mod collector;
pub mod database;
pub mod drain;
pub mod flows;
pub mod kinds;
pub mod late;
pub mod ledger;
pub mod login;
pub mod outside;
pub mod outside_call;
pub mod private;
pub mod process;
pub mod proxy;
pub mod scheduling;
pub mod shelf;
pub mod wait;
pub mod witness;

pub use collector::Collector;
pub use database::Database;
pub use drain::{run_all, run_due, run_due_on};
pub use login::Login;
pub use outside::Outside;
