//! Users of the test server with the rights of one group role, or of none.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::database::{Database, admin, cluster};

/// A user who may log in. Dropped with the test.
pub struct Login(String);

impl Login {
    /// A user in this group; in none when it is empty.
    pub async fn of(group: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("login_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let clause = if group.is_empty() { String::new() } else { format!("in role {group}") };
        admin().await.execute(AssertSqlSafe(format!("create role {name} login {clause}"))).await.expect("a user can be made");
        Self(name)
    }

    /// The user's name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The address of a database for this user.
    pub fn url(&self, db: &Database) -> String {
        cluster().url(db.name()).replacen("postgres@", &format!("{}@", self.0), 1)
    }

    /// Connects to a database as this user.
    pub async fn connect(&self, db: &Database) -> PgConnection {
        PgConnection::connect(&self.url(db)).await.expect("the user may connect")
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        let name = self.0.clone();
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a small runtime can be built");
            runtime.block_on(async {
                // A name nobody uses again; a failure leaves a user that goes with the cluster.
                let _ = admin().await.execute(AssertSqlSafe(format!("drop role if exists {name}"))).await;
            });
        });
        let _ = dropping.join();
    }
}
