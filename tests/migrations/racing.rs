//! Many migrate at once, and some are killed: every migration is applied whole, and once.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use sqlx::{Connection, Executor, PgConnection};
use tokio::process::Child;

use crate::cli::program::{code, command, rawops};
use crate::support::{Database, ledger::count, wait::until};

const LIMIT: Duration = Duration::from_mins(1);

fn migrate(db: &Database) -> Child {
    let mut process = command(&["migrate", "--json"]);
    process.env("DATABASE_URL", db.url()).stdout(Stdio::piped());
    process.spawn().expect("the program can be run")
}

/// That one migrates, and another waits for it.
async fn race_is_on(db: &Database) -> bool {
    let (held, waiting): (i64, i64) = sqlx::query_as(
        "select count(*) filter (where granted), count(*) filter (where not granted) from pg_locks
         where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())",
    )
    .fetch_one(db.pool())
    .await
    .expect("locks can be counted");
    held > 0 && waiting > 0
}

#[tokio::test]
async fn of_eight_at_once_some_are_killed_and_each_migration_is_applied_once() {
    let db = Database::empty().await;
    for killed in [8, 4] {
        let mut racing: Vec<Child> = (0..8).map(|_| migrate(&db)).collect();
        until("they race", LIMIT, || race_is_on(&db)).await;
        let mut rest = racing.split_off(killed);
        for process in &mut racing {
            process.kill().await.expect("a child can be killed");
        }
        for process in &mut rest {
            assert_eq!(code(process.wait().await.expect("it ends")), 0);
        }
    }
    assert_eq!(count(db.pool(), "select max(version) from _sqlx_migrations").await, migrations::newest());
    let wrong =
        "select count(*) from (select version from _sqlx_migrations group by version having count(*) <> 1 or not bool_and(success)) twice";
    assert_eq!(count(db.pool(), wrong).await, 0);
    assert_eq!(db.schema().await, Database::new().await.schema().await);
}

#[tokio::test]
async fn databases_of_one_server_are_migrated_side_by_side() {
    let dbs = [Database::empty().await, Database::empty().await, Database::empty().await, Database::empty().await];
    let processes: Vec<Child> = dbs.iter().map(migrate).collect();
    for mut process in processes {
        assert_eq!(code(process.wait().await.expect("it ends")), 0);
    }
}

#[tokio::test]
async fn an_empty_database_is_migrated_within_five_seconds() {
    let db = Database::empty().await;
    let begun = Instant::now();
    rawops(&db.url(), &["migrate"]).await.ok();
    let took = begun.elapsed();
    println!("cold migration: {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_lock_is_waited_for_ten_seconds_and_then_the_migration_gives_way() {
    let db = Database::new().await;
    let mut holder = PgConnection::connect(&db.url()).await.expect("a connection");
    holder.execute("begin; lock table _sqlx_migrations in access exclusive mode").await.expect("locked");
    let begun = Instant::now();
    let refusal = rawops(&db.url(), &["migrate"]).await.refusal(1);
    assert!(begun.elapsed() >= Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(refusal.starts_with("the migration waited 10s for a lock that another session holds, and changed nothing"), "{refusal}");
    holder.execute("rollback").await.expect("freed");
    rawops(&db.url(), &["migrate"]).await.ok();
}
