//! Compares a database with the registry and names every difference.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, PgConnection};

use super::inventory::{Inventory, SCHEMA};

/// What stands in a schema: (kind, item) and what it is.
type Catalog = BTreeMap<(String, String), String>;

/// Differences of these kinds can have a reason in the file of exceptions.
const EXCUSABLE: [&str; 3] = ["primary key", "foreign key", "index"];

/// Every difference, one line each; also every exception that nothing needs. Leaves no trace in the database.
pub async fn differences(connection: &mut PgConnection, inventory: &Inventory, exceptions: &BTreeMap<String, String>) -> Vec<String> {
    execute(connection, "savepoint compare".into()).await;
    execute(connection, inventory.ddl()).await;
    let expected = expected_catalog(connection, inventory).await;
    let live = describe(connection, "raw_ops").await;
    execute(connection, "rollback to savepoint compare".into()).await;

    let mut found = Vec::new();
    let mut unused: Vec<&String> = exceptions.keys().collect();
    for ((kind, item), what) in &expected {
        if agrees(kind, item, what, &live, &expected) {
            continue;
        }
        if EXCUSABLE.contains(&kind.as_str()) && exceptions.contains_key(item) {
            unused.retain(|exception| *exception != item);
            continue;
        }
        let is = live.get(&(kind.clone(), item.clone())).map_or("nothing", String::as_str);
        found.push(format!("{kind} {item}: expected {what}, found {is}"));
    }
    found.extend(unused.into_iter().map(|item| format!("exception {item}: nothing differs there, take it out")));
    found
}

async fn expected_catalog(connection: &mut PgConnection, inventory: &Inventory) -> Catalog {
    let mut expected = describe(connection, SCHEMA).await;
    expected.retain(|(kind, _), _| kind != "function");
    for name in &inventory.functions {
        expected.insert(("function".into(), name.clone()), "function".into());
    }
    for name in &inventory.views {
        expected.insert(("view".into(), name.clone()), "view".into());
    }
    for (item, what) in &inventory.triggers {
        expected.insert(("trigger".into(), item.clone()), what.clone());
    }
    expected
}

async fn describe(connection: &mut PgConnection, schema: &str) -> Catalog {
    execute(connection, format!("set local search_path = {schema}, public")).await;
    let rows: Vec<(String, String, String)> =
        sqlx::query_as(include_str!("describe.sql")).fetch_all(connection).await.expect("the catalog can be read");
    let mut catalog = Catalog::new();
    for (kind, item, what) in rows {
        // Two keys on one column are one item with both descriptions.
        catalog.entry((kind, item)).and_modify(|known| *known = format!("{known}; {what}")).or_insert(what);
    }
    catalog
}

async fn execute(connection: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.expect("the registry's schema can be built");
}

fn agrees(kind: &str, item: &str, what: &str, live: &Catalog, expected: &Catalog) -> bool {
    let found = live.get(&(kind.to_owned(), item.to_owned()));
    match kind {
        "index" => found.is_some_and(|found| found == what) || has_equivalent(item, what, live, expected),
        "trigger" => found.is_some_and(|found| fires(what, found)),
        _ => found.is_some_and(|found| found == what),
    }
}

/// Of indexes that the registry has more than once, one is enough, whatever its name; a unique one serves for all.
fn has_equivalent(item: &str, what: &str, live: &Catalog, expected: &Catalog) -> bool {
    let table = item.split('.').next().unwrap_or_default();
    let same = |catalog: &Catalog, wanted: &dyn Fn(&str) -> bool| {
        let in_table = catalog.iter().filter(|((kind, other), _)| kind == "index" && other.split('.').next() == Some(table));
        in_table.filter(|(_, other)| wanted(other)).count()
    };
    let key = |what: &str| what.trim_start_matches("unique ").to_owned();
    let is_listed_twice = same(expected, &|other| key(other) == key(what)) > 1;
    let must_be_unique = what.starts_with("unique ");
    is_listed_twice && same(live, &|other| key(other) == key(what) && (!must_be_unique || other.starts_with("unique "))) > 0
}

/// Whether a trigger does what the registry says; one that is limited to some columns must name the registry's.
fn fires(wanted: &str, found: &str) -> bool {
    let split = |text: &str| {
        let (when, function) = text.split_once(" calls ").unwrap_or((text, ""));
        let (events, columns) = when.split_once(" of ").unwrap_or((when, ""));
        (events.to_owned(), columns.to_owned(), function.to_owned())
    };
    let (wanted, found) = (split(wanted), split(found));
    let covers = wanted.1.is_empty() || found.1.is_empty() || found.1.split(", ").any(|column| column == wanted.1);
    wanted.0 == found.0 && wanted.2 == found.2 && covers
}
