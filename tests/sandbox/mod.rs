//! The past of a company: it is the same each time, its books balance, and nothing is started by it.

mod seed;
mod seed_books;
mod seed_command;
mod seed_lives;

use chrono::{DateTime, Utc};
use sandbox::company::{self, Options};

use crate::support::Database;

/// The end of every history here: a Sunday noon.
pub fn until() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().expect("a moment")
}

/// A database with the past of a company.
pub async fn seeded(orders: u64) -> Database {
    let db = Database::new().await;
    fill(&db, Options { orders, seed: 1, until: until(), add: false }).await.unwrap_or_else(|error| panic!("{error}"));
    db
}

/// Fills a database.
pub async fn fill(db: &Database, options: Options) -> Result<std::collections::BTreeMap<&'static str, u64>, company::Error> {
    let mut connection = db.pool().acquire().await.expect("the database answers");
    company::fill(&mut connection, &options, |_| ()).await
}

/// Fails unless the query, which looks for what must not be, finds nothing.
pub async fn none(db: &Database, fault: &str, query: &'static str) {
    let found: Vec<String> = sqlx::query_scalar(query).fetch_all(db.pool()).await.unwrap_or_else(|error| panic!("{fault}: {error}"));
    assert!(found.is_empty(), "{fault}: {} such, as {:?}", found.len(), &found[..found.len().min(5)]);
}
