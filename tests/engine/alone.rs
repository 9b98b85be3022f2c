//! The engine without an application: its own migrations, its own tables, and everything that needs no other.

use std::{fs, path::Path, time::Duration};

use chrono_tz::UTC;
use engine::{
    retry::{self, Draft},
    schedule::{Config, Schedule, Scheduler, edit},
    store::doctor,
};
use sqlx::{
    AssertSqlSafe, PgPool, SqlStr,
    migrate::{Migration, MigrationType, Migrator},
};

use super::jobs::of;
use crate::support::{
    Database, clock,
    kinds::{self, NoOp, Tick},
    ledger::{count, now},
    run_all,
};

const HOURLY: Schedule = Schedule::of::<Tick>("hourly", "17 * * * *", UTC, "For testing");

/// Applies the migrations whose number and name are wanted, in order.
pub async fn migrate(pool: &PgPool, wanted: impl Fn(u32, &str) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> = fs::read_dir(folder).expect("the migrations can be listed").flatten().map(|file| file.path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "sql")) {
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
        // What has no number is today's dump.
        if name[..4].parse().is_ok_and(|number| wanted(number, name)) {
            let text = fs::read_to_string(file).expect("a migration can be read");
            sqlx::raw_sql(AssertSqlSafe(text)).execute(pool).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

#[tokio::test]
async fn an_engine_used_alone_schedules_and_keeps_its_retry_policy() {
    let db = Database::empty().await;
    let pool = db.pool();
    let mut connection = pool.acquire().await.expect("a connection");
    let applied = migrations::run_engine(&mut connection).await.expect("it migrates");
    assert!(!applied.is_empty() && migrations::run_engine(&mut connection).await.expect("it migrates").is_empty(), "once each");
    assert_eq!(count(pool, "select count(*) from pg_namespace where nspname = 'raw_ops'").await, 0, "nothing else of the house is there");
    clock::own(pool).await;
    let mut scheduler = Scheduler::new(pool.clone(), [HOURLY], Config::default());
    scheduler.run_once(now(pool).await).await.expect("the database answers");
    clock::step(pool, 3600.0).await;
    assert_eq!(scheduler.run_once(now(pool).await).await.expect("the database answers").fired, 1);
    run_all(&db, kinds::kinds()).await;
    let shown = edit::show(pool, &[HOURLY]).await.expect("it can be read");
    assert_eq!(shown[0].last.as_ref().and_then(|last| last.state.as_deref()), Some("completed"));

    let draft = Draft { max_attempts: Some(3), ..Draft::default() };
    assert_eq!(retry::set(pool, "ada", "network", None, &draft).await.expect("it is taken").version, 2);
    let delete = sqlx::query("delete from engine.retry_config where error_category = 'default'").execute(pool).await;
    assert!(delete.is_err(), "the engine's own table is guarded");
    assert_eq!(count(pool, "select count(*) from engine.retry_policy_history where what = 'found'").await, 13);
    let mut found = doctor::examine(pool).await.expect("the doctor can look");
    // Roles are the house's, which has not moved in here.
    found.retain(|finding| finding.check != "roles_not_set_up");
    assert!(found.is_empty(), "{found:?}");
    let refused = migrations::run(&mut connection).await.expect_err("the house does not move in").to_string();
    assert!(refused.starts_with("the database has the engine alone"), "{refused}");
}

/// A program's own migrations, one of a number that the house has too and one of the time at which it was written.
fn own() -> Migrator {
    let migration = |version, text| Migration::new(version, "orders".into(), MigrationType::Simple, SqlStr::from_static(text), false);
    Migrator::with_migrations(vec![
        migration(2, "create table orders (id bigint primary key)"),
        migration(20_261_130_221_500, "alter table orders add at timestamptz"),
    ])
}

#[tokio::test]
async fn an_engine_used_alone_stands_beside_the_migrations_of_its_program() {
    let db = Database::empty().await;
    let pool = db.pool();
    let mut connection = pool.acquire().await.expect("a connection");
    own().run(pool).await.expect("the program's own");
    let applied = migrations::run_engine(&mut connection).await.expect("the engine's");
    own().run(pool).await.expect("the program's own, again");
    assert!(!applied.is_empty() && migrations::run_engine(&mut connection).await.expect("the engine's, again").is_empty());

    let mut tx = pool.begin().await.expect("a transaction");
    sqlx::query("insert into orders values (1)").execute(&mut *tx).await.expect("an order");
    engine::enqueue_in(&mut tx, &of(&NoOp { n: 1 })).await.expect("and its job");
    tx.commit().await.expect("both");
    run_all(&db, kinds::kinds()).await;
    assert_eq!(count(pool, "select count(*) from engine.attempt where outcome = 'completed'").await, 1);
    let refused = migrations::run(&mut connection).await.expect_err("the house does not move in").to_string();
    assert!(refused.starts_with("the database has the engine alone"), "{refused}");
}

#[tokio::test]
async fn a_scheduler_ends_at_its_shutdown_and_lets_another_lead_at_once() {
    let db = Database::new().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let config = Config { tick: Duration::from_millis(20), ..Config::default() };
    let running = tokio::spawn(Scheduler::new(db.pool().clone(), [HOURLY], config).run(stop.clone()));
    let leads = "select count(*) from engine.leader where until > engine.now()";
    crate::support::wait::until("it leads", Duration::from_secs(20), async || count(db.pool(), leads).await == 1).await;
    stop.cancel();
    running.await.expect("it does not panic").expect("its table makes sense");
    assert_eq!(count(db.pool(), leads).await, 0, "it resigned");
}
