//! The ordeal: the whole engine under random programs and random faults, judged by a model and a ledger outside of it.
//!
//! ```text
//! seed ─▶ producers, shop, operators ─▶ engine: workers, schedulers, web, PostgreSQL ◀─ nemesis ◀─ seed
//!              │ intents, answers                      │ words of witnesses      │ faults
//!              ▼                                       ▼                         ▼
//!           ledger, outside of PostgreSQL ─────────▶ checkers ◀──────── the database, drained
//! ```
//!
//! `cargo run --release -p ordeal -- --seed 7 --for 10m --faults all` runs it; `tests/ordeal/gate.rs` runs a short one with
//! the other tests. Everything that is drawn follows from the seed; what processes make of it does not, so a seed that
//! failed is kept in `seeds/` and run again by each night (`--kept`).

pub mod canaries;
pub mod chance;
pub mod checkers;
pub mod clock;
pub mod coverage;
pub mod disk;
pub mod facts;
pub mod faults;
pub mod features;
pub mod inputs;
pub mod journal;
pub mod kinds;
pub mod ledger;
mod leftovers;
pub mod model;
pub mod namespace;
pub mod nemesis;
mod node;
#[cfg(any(test, feature = "planted"))]
pub mod planted;
pub mod pooler;
pub mod process;
pub mod program;
pub mod proxy;
pub mod report;
pub mod results;
pub mod run;
pub mod seeds;
pub mod series;
pub mod server;
pub mod sizes;
pub mod stage;
pub mod tables;
pub mod tries;
pub mod wait;
pub mod watch;
pub mod witness;
pub mod workload;
