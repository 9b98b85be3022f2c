//! Each role tries everything on every object, and may do what the rules say and nothing else.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

use super::rules::{self, COLUMNS, FUNCTIONS, ROLES, SEQUENCES, TABLES};
use crate::support::{Database, Login};

/// Tables and views, with a statement a verb. Numbered partitions come and go: nobody touches them directly.
const EVERY_TABLE: &str = "
    select c.oid::regclass::text as name, c.relkind in ('v', 'm') as is_view, c.relname ~ '^(job|attempt)_[0-9]+$' as is_partition,
        (select string_agg(format('%I = default', a.attname), ', ') from pg_attribute a
         where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as defaults
    from pg_class c
    where c.relkind in ('r', 'p', 'v', 'm') and c.relnamespace in ('engine'::regnamespace, 'raw_ops'::regnamespace)
    order by 1";

/// Functions, with a call whose arguments no planner can foresee, so that it is not computed before it is permitted.
const EVERY_FUNCTION: &str = "
    select p.pronamespace::regnamespace || '.' || p.proname as name, p.prorettype = 'trigger'::regtype as is_trigger,
        format('explain select %s.%I(%s) from (select 1%s offset 0) a', p.pronamespace::regnamespace, p.proname,
            (select string_agg(case when n = p.pronargs and p.provariadic <> 0 then 'variadic ' else '' end || 'a.x' || n, ', ' order by n)
             from generate_series(1, p.pronargs) n),
            (select string_agg(format(', null::%s as x%s', t.type::regtype, t.n), '' order by t.n)
             from unnest(p.proargtypes::oid[]) with ordinality t (type, n))) as call
    from pg_proc p
    where p.pronamespace in ('engine'::regnamespace, 'raw_ops'::regnamespace)
    order by 1";

#[derive(sqlx::FromRow)]
struct Table {
    name: String,
    is_view: bool,
    is_partition: bool,
    defaults: String,
}

impl Table {
    fn statement(&self, verb: char) -> String {
        let Self { name, defaults, .. } = self;
        match verb {
            's' => format!("select * from {name} limit 0"),
            'i' => format!("insert into {name} default values"),
            'u' => format!("update {name} set {defaults} where false"),
            'd' => format!("delete from {name} where false"),
            _ => format!("truncate {name}"),
        }
    }
}

/// Whether the database permits a statement; `None` when it is one that nobody can run on such an object.
async fn permits(connection: &mut PgConnection, statement: &str) -> Option<bool> {
    let mut tx = connection.begin().await.expect("a transaction");
    let answer = sqlx::raw_sql(AssertSqlSafe(statement.to_string())).execute(&mut *tx).await;
    tx.rollback().await.expect("ended");
    let code = answer
        .err()
        .map(|error| error.as_database_error().and_then(sqlx::error::DatabaseError::code).expect("the server refused").to_string());
    match code.as_deref() {
        Some("42501") => Some(false),
        Some("55000") => None,
        // What is wrong with the row, not with who inserts it.
        None | Some("22023" | "23502" | "23503" | "23505" | "23514" | "0A000") => Some(true),
        Some(other) => panic!("{statement}: SQLSTATE {other}"),
    }
}

/// Every role with a user in it, and whether it may do everything; last a user without any role.
async fn users() -> Vec<(&'static str, bool, Login)> {
    let mut users = Vec::new();
    for (role, all) in ROLES.into_iter().map(|role| (role, false)).chain([("rawops_owner", true), ("rawops_migrator", true), ("", false)]) {
        users.push((role, all, Login::of(role).await));
    }
    users
}

async fn tables(pool: &PgPool) -> Vec<Table> {
    sqlx::query_as(EVERY_TABLE).fetch_all(pool).await.expect("the catalog can be read")
}

/// Name, whether triggers call it, and a call.
async fn functions(pool: &PgPool) -> Vec<(String, bool, String)> {
    sqlx::query_as(EVERY_FUNCTION).fetch_all(pool).await.expect("the catalog can be read")
}

#[tokio::test]
async fn each_role_may_do_with_tables_what_the_rules_say_and_nothing_else() {
    let db = Database::new().await;
    let tables = tables(db.pool()).await;
    let mut wrong = Vec::new();
    let mut tried = 0;
    for (role, all, user) in users().await {
        let mut connection = user.connect(&db).await;
        for table in &tables {
            let expected = if all {
                "siudt"
            } else if table.is_partition {
                ""
            } else {
                rules::of_table(role, &table.name)
                    .unwrap_or_else(|| panic!("{} has no rule: say in tests/roles/rules.rs who may do what with it", table.name))
            };
            for verb in if table.is_view { "siud" } else { "siudt" }.chars() {
                let permitted = permits(&mut connection, &table.statement(verb)).await;
                tried += 1;
                if permitted.is_some_and(|permitted| permitted != expected.contains(verb)) {
                    wrong.push(format!("{role:?} {verb} {}: {permitted:?}", table.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {tried} differ from tests/roles/rules.rs: {wrong:#?}", wrong.len());
    assert!(tried > 3_000, "only {tried} were tried");
}

#[tokio::test]
async fn each_role_may_call_the_functions_that_the_rules_say_and_no_other() {
    let db = Database::new().await;
    let functions = functions(db.pool()).await;
    let mut wrong = Vec::new();
    for (role, all, user) in users().await {
        let mut connection = user.connect(&db).await;
        for (name, is_trigger, call) in &functions {
            let expected = all
                || !is_trigger
                    && rules::of_function(role, name)
                        .unwrap_or_else(|| panic!("{name} has no rule: say in tests/roles/rules.rs who may call it"));
            let permitted = permits(&mut connection, call).await;
            if permitted != Some(expected) {
                wrong.push(format!("{role:?} {name}: {permitted:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn sequences_are_for_the_runtime_and_nobody_sets_them() {
    let db = Database::new().await;
    let sequences: Vec<String> = sqlx::query_scalar(
        "select c.oid::regclass::text from pg_class c
         where c.relkind = 'S' and c.relnamespace in ('engine'::regnamespace, 'raw_ops'::regnamespace)",
    )
    .fetch_all(db.pool())
    .await
    .expect("the catalog can be read");
    assert!(!sequences.is_empty());
    for (role, all, user) in users().await {
        let mut connection = user.connect(&db).await;
        let expected = if all { "stx" } else { rules::of(role, SEQUENCES) };
        for name in &sequences {
            for (verb, statement) in [
                ('s', format!("select last_value from {name}")),
                ('t', format!("select nextval('{name}')")),
                ('x', format!("select setval('{name}', 1, false)")),
            ] {
                assert_eq!(permits(&mut connection, &statement).await, Some(expected.contains(verb)), "{role:?}: {statement}");
            }
        }
    }
}

#[tokio::test]
async fn only_the_owner_makes_and_drops() {
    let db = Database::new().await;
    // What is granted on the database itself does not come with a template.
    migrations::run(&mut db.pool().acquire().await.expect("a connection")).await.expect("there is nothing to migrate");
    for (role, all, user) in users().await {
        let mut connection = user.connect(&db).await;
        for statement in [
            "create table engine.another (id integer)",
            "create table raw_ops.another (id integer)",
            "create function raw_ops.another() returns integer language sql as 'select 1'",
            "alter table raw_ops.orders add column another integer",
            "create index another on engine.ready (job_id)",
            "drop table raw_ops.ad_campaigns",
            "alter function engine.now() security definer",
            "create schema another",
        ] {
            assert_eq!(permits(&mut connection, statement).await, Some(all), "{role:?}: {statement}");
        }
    }
}

#[tokio::test]
async fn no_column_is_open_that_the_rules_do_not_name() {
    let db = Database::new().await;
    let open: Vec<(String, String, String, String)> = sqlx::query_as(
        "select x.grantee::regrole::text, a.attrelid::regclass::text, a.attname::text, x.privilege_type
         from pg_attribute a cross join lateral aclexplode(a.attacl) x
         where a.attrelid in (select oid from pg_class where relnamespace in ('engine'::regnamespace, 'raw_ops'::regnamespace))",
    )
    .fetch_all(db.pool())
    .await
    .expect("the catalog can be read");
    let open: BTreeSet<_> =
        open.iter().map(|(role, table, column, verb)| (role.as_str(), table.as_str(), column.as_str(), verb.as_str())).collect();
    assert_eq!(open, COLUMNS.iter().map(|(role, table, column)| (*role, *table, *column, "UPDATE")).collect());
    for (role, table, column) in COLUMNS {
        let user = Login::of(role).await;
        let mut connection = user.connect(&db).await;
        assert_eq!(permits(&mut connection, &format!("update {table} set {column} = default where false")).await, Some(true));
    }
}

#[tokio::test]
async fn no_rule_is_without_its_object() {
    let db = Database::new().await;
    let names = |rules: Vec<&'static str>| -> Vec<&'static str> { rules.into_iter().flat_map(str::split_whitespace).collect() };
    let tables: BTreeSet<String> =
        tables(db.pool()).await.into_iter().filter(|table| !table.is_partition).map(|table| table.name).collect();
    let functions: BTreeSet<String> =
        functions(db.pool()).await.into_iter().filter(|(_, is_trigger, _)| !is_trigger).map(|(name, ..)| name).collect();
    for (ruled, found) in
        [(names(TABLES.iter().map(|rule| rule.0).collect()), tables), (names(FUNCTIONS.iter().map(|rule| rule.0).collect()), functions)]
    {
        let once: BTreeSet<String> = ruled.iter().map(ToString::to_string).collect();
        assert_eq!(once, found, "every object has a rule and every rule an object");
        assert_eq!(once.len(), ruled.len(), "no object has two rules");
    }
}
