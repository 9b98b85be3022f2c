//! Functions with their owner's rights, and functions that anybody may call.

use crate::support::Database;

async fn names(db: &Database, query: &'static str) -> Vec<String> {
    sqlx::query_scalar(query).fetch_all(db.pool()).await.expect("the catalog can be read")
}

/// Whoever calls such a function must not be able to put an object of his own before those that it means: neither by his
/// own path nor by a temporary table, which comes first unless the path ends with pg_temp.
const UNPINNED: &str = "
    select p.oid::regprocedure::text from pg_proc p
    where p.prosecdef
      and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
      and p.pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
      and not coalesce(p.proconfig, '{}') && array['search_path=pg_catalog, pg_temp']
    order by 1";

#[tokio::test]
async fn the_search_path_of_every_function_with_its_owners_rights_is_pinned() {
    let db = Database::new().await;
    assert_eq!(names(&db, UNPINNED).await, [""; 0], "add `set search_path = pg_catalog, pg_temp` to these");
}

#[tokio::test]
async fn a_function_without_a_pinned_path_is_found() {
    let db = Database::new().await;
    for path in ["", "set search_path = ''", "set search_path = public, pg_temp", "set search_path = pg_temp, pg_catalog"] {
        let statement =
            format!("create or replace function raw_ops.loose() returns integer language sql security definer {path} as 'select 1'");
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(db.pool()).await.expect("made");
        assert_eq!(names(&db, UNPINNED).await, ["raw_ops.loose()"], "{path}");
    }
}

/// What everybody may call, and by what he may touch. A function of nobody's schema is one of ours all the same.
const OPEN_TO_ALL: &str = "
    select p.oid::regprocedure::text from pg_proc p
    where p.pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
      and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
      and exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x where x.grantee = 0)
    order by 1";

#[tokio::test]
async fn no_function_is_open_to_everybody() {
    let db = Database::new().await;
    assert_eq!(names(&db, OPEN_TO_ALL).await, [""; 0]);
}

#[tokio::test]
async fn the_next_migration_closes_a_function_that_was_left_open() {
    let db = Database::new().await;
    sqlx::query("create function raw_ops.left_open() returns integer language sql as 'select 1'").execute(db.pool()).await.expect("made");
    assert_eq!(names(&db, OPEN_TO_ALL).await, ["raw_ops.left_open()"]);
    migrations::run(&mut db.pool().acquire().await.expect("a connection")).await.expect("there is nothing to migrate");
    assert_eq!(names(&db, OPEN_TO_ALL).await, [""; 0]);
}

#[tokio::test]
async fn everything_belongs_to_the_owner_who_cannot_log_in() {
    let db = Database::new().await;
    let others = names(
        &db,
        "select o.name from (
             select nspname::text, nspowner from pg_namespace where nspname in ('engine', 'raw_ops')
             union all select oid::regclass::text, relowner from pg_class
             where relkind in ('r', 'p', 'v', 'm', 'S') and relnamespace in ('engine'::regnamespace, 'raw_ops'::regnamespace)
             union all select oid::regclass::text, relowner from pg_class where oid = '_sqlx_migrations'::regclass
             union all select oid::regprocedure::text, proowner from pg_proc where pronamespace in ('engine'::regnamespace, 'raw_ops'::regnamespace)
             union all select oid::regtype::text, typowner from pg_type
             where typtype in ('e', 'd') and typnamespace in ('engine'::regnamespace, 'raw_ops'::regnamespace)
         ) o (name, owner) where o.owner <> 'rawops_owner'::regrole",
    )
    .await;
    assert_eq!(others, [""; 0]);
    let may_log_in =
        names(&db, "select rolname::text from pg_roles where rolname like 'rawops\\_%' and (rolcanlogin or rolsuper or rolcreaterole)")
            .await;
    assert_eq!(may_log_in, [""; 0]);
}
