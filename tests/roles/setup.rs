//! How the roles come to be: on servers where the migrating user may make them, and where he may not.

use std::path::Path;

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, migrate::Migrator};

use crate::cli::program::rawops;
use crate::support::{Database, Login, ledger::count, private::Private};

async fn execute(connection: &mut PgConnection, statement: &str) {
    connection.execute(AssertSqlSafe(statement.to_string())).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

#[tokio::test]
async fn where_the_user_may_not_make_roles_everything_works_and_the_doctor_says_what_is_missing() {
    let server = Private::bare().await;
    let mut superuser = PgConnection::connect(server.url()).await.expect("a connection");
    for statement in ["create role plain login", "create role admin login createrole", "create database house owner plain"] {
        execute(&mut superuser, statement).await;
    }
    let plain = server.url_of("plain", "house");
    let migrated = rawops(&plain, &["migrate"]).await.ok();
    assert!(migrated.out.starts_with("applied 0001, "), "{migrated:?}");
    assert!(
        migrated.err.contains("the roles rawops_owner, rawops_migrator, ") && migrated.err.contains("`rawops migrate --roles`"),
        "{migrated:?}"
    );
    let report = rawops(&plain, &["doctor", "--json"]).await.ok().json();
    let missing: Vec<&str> =
        report["findings"].as_array().expect("a list").iter().filter_map(|finding| finding["check"].as_str()).collect();
    assert_eq!(missing, ["roles_not_set_up"; 6], "{report}");
    assert!(report["findings"][0]["detail"].as_str().expect("words").contains("as a superuser or with CREATEROLE"), "{report}");
    let refusal = rawops(&plain, &["migrate", "--roles"]).await.refusal(1);
    assert!(refusal.starts_with("the roles cannot be made: connect as a superuser or as a user with CREATEROLE"), "{refusal}");

    rawops(&server.url_of("admin", "house"), &["migrate", "--roles"]).await.ok();
    let report = rawops(&plain, &["doctor", "--json"]).await.ok().json();
    assert!(report["findings"][0]["detail"].as_str().expect("words").contains("run `rawops migrate` as the user"), "{report}");
    assert_eq!(
        rawops(&plain, &["migrate", "--json"]).await.ok().json(),
        json!({ "applied": [], "schema": migrations::newest(), "missing_roles": [] })
    );
    assert_eq!(rawops(&plain, &["doctor", "--json"]).await.ok().json()["findings"], json!([]));
    execute(&mut superuser, "create role looks login in role rawops_reader").await;
    assert_eq!(rawops(&server.url_of("looks", "house"), &["jobs", "list"]).await.ok().out, "no jobs\n");

    // Another user's migration takes nothing from the one who owns it all.
    rawops(&server.url_of("postgres", "house"), &["migrate"]).await.ok();
    assert_eq!(rawops(&plain, &["migrate", "--json"]).await.ok().json()["applied"], json!([]));
    let letter = "00000000-0000-0000-0000-000000000000";
    assert!(rawops(&plain, &["dead", "requeue", letter]).await.refusal(1).starts_with("there is no dead letter"));
}

#[tokio::test]
async fn an_administrator_who_is_no_superuser_makes_the_roles_by_migrating() {
    let server = Private::bare().await;
    let mut superuser = PgConnection::connect(server.url()).await.expect("a connection");
    for statement in ["create role admin login createrole", "create database house owner admin"] {
        execute(&mut superuser, statement).await;
    }
    let admin = server.url_of("admin", "house");
    let migrated = rawops(&admin, &["migrate"]).await.ok();
    assert_eq!(migrated.err, "");
    assert_eq!(rawops(&admin, &["doctor", "--json"]).await.ok().json()["findings"], json!([]));
    let mut house = PgConnection::connect(&server.url_of("postgres", "house")).await.expect("a connection");
    let owner: String = sqlx::query_scalar("select relowner::regrole::text from pg_class where oid = 'engine.job'::regclass")
        .fetch_one(&mut house)
        .await
        .expect("the catalog can be read");
    assert_eq!(owner, "rawops_owner");
    assert!(rawops(&admin, &["migrate"]).await.ok().out.starts_with("nothing to do"), "it acts as the owner from now on");
    execute(&mut superuser, "create role looks login in role rawops_reader").await;
    assert_eq!(rawops(&server.url_of("looks", "house"), &["dead", "list"]).await.ok().out, "no dead letters\n");
}

#[tokio::test]
async fn a_migrator_brings_the_next_migration_to_a_database_of_the_owner() {
    let db = Database::empty().await;
    let newest = migrations::newest();
    let all = Migrator::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations")).await.expect("the migrations can be read");
    let before = Migrator::with_migrations(all.iter().filter(|migration| migration.version < newest).cloned().collect());
    before.run(db.pool()).await.expect("all but the newest");
    let mut superuser = PgConnection::connect(&db.url()).await.expect("a connection");
    // As rawops left it then: what it owns, and what its owner may do.
    let of_all_but_functions =
        include_str!("../../migrations/roles/grant.sql").split("-- Nothing is left of").next().expect("a first part");
    execute(&mut superuser, of_all_but_functions).await;
    execute(
        &mut superuser,
        &format!("grant create on database {} to rawops_owner; grant create on schema public to rawops_owner", db.name()),
    )
    .await;

    let migrator = Login::of("rawops_migrator").await;
    let answer = rawops(&migrator.url(&db), &["migrate", "--json"]).await.ok();
    assert_eq!(answer.json(), json!({ "applied": [newest], "schema": newest, "missing_roles": [] }));
    assert_eq!(answer.err, "");
    let owned = format!("select count(*) from pg_shdepend where refobjid = '{}'::regrole and deptype = 'o'", migrator.name());
    let owned: i64 = sqlx::query_scalar(AssertSqlSafe(owned)).fetch_one(db.pool()).await.expect("the catalog can be read");
    assert_eq!(owned, 0, "what it made is the owner's");
    assert_eq!(db.schema().await, Database::new().await.schema().await);
}

#[tokio::test]
async fn what_was_granted_by_hand_is_gone_after_the_next_migration() {
    let db = Database::new().await;
    sqlx::query("grant delete on raw_ops.orders to rawops_reader").execute(db.pool()).await.expect("granted");
    sqlx::query("grant execute on function engine.requeue_letter to rawops_ingest").execute(db.pool()).await.expect("granted");
    rawops(&db.url(), &["migrate"]).await.ok();
    let left = "select count(*) filter (where has_table_privilege('rawops_reader', 'raw_ops.orders', 'delete')
        or has_function_privilege('rawops_ingest', 'engine.requeue_letter(uuid, text, jsonb)', 'execute'))";
    assert_eq!(count(db.pool(), left).await, 0);
}

#[tokio::test]
async fn roles_that_are_made_at_the_same_moment_are_made_once() {
    let server = Private::bare().await;
    let mut superuser = PgConnection::connect(server.url()).await.expect("a connection");
    for n in 0..4 {
        execute(&mut superuser, &format!("create database house_{n}")).await;
    }
    let mut racing = tokio::task::JoinSet::new();
    for n in 0..8 {
        let url = server.url_of("postgres", &format!("house_{}", n % 4));
        racing.spawn(async move { rawops(&url, &["migrate"]).await.ok().err });
    }
    assert_eq!(racing.join_all().await, [""; 8]);
    let made: i64 =
        sqlx::query_scalar("select count(*) from pg_roles where rolname like 'rawops\\_%'").fetch_one(&mut superuser).await.expect("asked");
    assert_eq!(made, 6);
}
