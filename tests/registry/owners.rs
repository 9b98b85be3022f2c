//! Every table of the registry has a writer and a reader, `tests/registry_owners.toml`, and every name in it is true.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use sqlx::PgPool;

use super::inventory;
use crate::support::Database;

type Owners = BTreeMap<String, Owner>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Owner {
    writer: Part,
    reader: Part,
}

/// What writes or reads: one of the names, and whether it is still to come.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    kind: Option<String>,
    function: Option<String>,
    view: Option<String>,
    http: Option<String>,
    page: Option<String>,
    statement: Option<String>,
    #[serde(default)]
    planned: bool,
}

/// The folders of kinds of job: what stands before the dot of a name.
const DOMAINS: [&str; 23] = [
    "customers",
    "orders",
    "webhooks",
    "allocation",
    "batches",
    "proof",
    "lab",
    "packing",
    "export",
    "dispatch",
    "couriers",
    "subscriptions",
    "dunning",
    "lifecycle",
    "outbox",
    "credits",
    "referrals",
    "support",
    "addresses",
    "monitors",
    "alerts",
    "health",
    "marketing",
];

/// The registry's HTTP functions.
const HTTP_FUNCTIONS: [&str; 10] = [
    "shopify-webhook-handler",
    "seal-webhook-handler",
    "create-batch",
    "cs-agent-triage",
    "send-support-email",
    "sync-address-change",
    "run-monitor",
    "ops-alerter",
    "calculate-pack-day-instructions",
    "retry-failed-webhooks",
];

/// What there is: kinds, functions with their texts, and the tables that each view reads.
struct World {
    kinds: BTreeSet<String>,
    functions: BTreeMap<String, String>,
    views: BTreeMap<String, BTreeSet<String>>,
}

impl World {
    async fn of(pool: &PgPool) -> Self {
        let functions: Vec<(String, String)> = sqlx::query_as(
            "select proname::text, string_agg(prosrc, ' ') from pg_proc where pronamespace = 'raw_ops'::regnamespace group by 1",
        )
        .fetch_all(pool)
        .await
        .expect("functions can be listed");
        let views: Vec<(String, Vec<String>)> = sqlx::query_as(
            "select v.relname::text, array_agg(distinct t.relname::text)
             from pg_class v join pg_rewrite r on r.ev_class = v.oid
             join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass
             join pg_class t on t.oid = d.refobjid and t.oid <> v.oid
             where v.relkind = 'v' and v.relnamespace = 'raw_ops'::regnamespace group by 1",
        )
        .fetch_all(pool)
        .await
        .expect("views can be listed");
        Self {
            kinds: jobs::kinds().names().into_iter().collect(),
            functions: functions.into_iter().collect(),
            views: views.into_iter().map(|(view, tables)| (view, tables.into_iter().collect())).collect(),
        }
    }
}

impl Part {
    /// The sort of thing and its name; an error unless there is exactly one.
    fn named(&self) -> Result<(&'static str, &str), String> {
        let all = [
            ("kind", &self.kind),
            ("function", &self.function),
            ("view", &self.view),
            ("http", &self.http),
            ("page", &self.page),
            ("statement", &self.statement),
        ];
        let given: Vec<_> = all.into_iter().filter_map(|(sort, name)| name.as_deref().map(|name| (sort, name))).collect();
        match given[..] {
            [(sort, name)] if !name.is_empty() => Ok((sort, name)),
            _ => Err(format!("{} names, and one is wanted", given.len())),
        }
    }

    /// What is wrong with it as the writer or reader of a table.
    fn problem(&self, table: &str, world: &World) -> Option<String> {
        let (sort, name) = match self.named() {
            Ok(named) => named,
            Err(problem) => return Some(problem),
        };
        if !is_well_formed(sort, name) {
            return Some(format!("{sort} {name} is no name of that sort"));
        }
        match (self.planned, exists(sort, name, world)) {
            (true, true) => Some(format!("{sort} {name} exists: remove planned")),
            (false, false) => Some(format!("{sort} {name} does not exist")),
            (false, true) if !touches(sort, name, table, world) => Some(format!("{sort} {name} does not name the table")),
            _ => None,
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn is_well_formed(sort: &str, name: &str) -> bool {
    match sort {
        "kind" => name.split_once('.').is_some_and(|(domain, verb_noun)| DOMAINS.contains(&domain) && verb_noun.contains('_')),
        "http" => HTTP_FUNCTIONS.contains(&name),
        _ => true,
    }
}

fn exists(sort: &str, name: &str, world: &World) -> bool {
    match sort {
        "kind" => world.kinds.contains(name),
        "function" => world.functions.contains_key(name),
        "view" => world.views.contains_key(name),
        "http" => root().join(http_file(name)).is_file(),
        "page" => ["dashboard", "pages"].iter().any(|folder| root().join(format!("web/{folder}/{name}.rs")).is_file()),
        _ => root().join(name).is_file(),
    }
}

/// Where an HTTP function of this name lives.
fn http_file(name: &str) -> String {
    match name.strip_suffix("-webhook-handler") {
        Some(vendor) => format!("web/webhooks/{vendor}.rs"),
        None => format!("web/functions/{}.rs", name.replace('-', "_")),
    }
}

/// Whether what exists has to do with the table, as far as a name can tell: kinds and pages reach it through others.
fn touches(sort: &str, name: &str, table: &str, world: &World) -> bool {
    match sort {
        "function" => world.functions.get(name).is_some_and(|text| text.contains(table)),
        "view" => world.views.get(name).is_some_and(|tables| tables.contains(table)),
        "statement" => fs::read_to_string(root().join(name)).is_ok_and(|text| text.contains(table)),
        _ => true,
    }
}

fn problems(owners: &Owners, tables: &BTreeSet<&str>, world: &World) -> Vec<String> {
    let listed: BTreeSet<&str> = owners.keys().map(String::as_str).collect();
    let mut found: Vec<String> = tables.difference(&listed).map(|table| format!("{table}: nobody owns it")).collect();
    found.extend(listed.difference(tables).map(|table| format!("{table}: the registry has no such table")));
    for (table, owner) in owners {
        for (role, part) in [("writer", &owner.writer), ("reader", &owner.reader)] {
            found.extend(part.problem(table, world).map(|problem| format!("{table}, {role}: {problem}")));
        }
    }
    found
}

const FILE: &str = include_str!("../registry_owners.toml");

#[tokio::test]
async fn every_table_has_a_writer_and_a_reader() {
    let db = Database::new().await;
    let world = World::of(db.pool()).await;
    let owners: Owners = toml::from_str(FILE).unwrap_or_else(|error| panic!("tests/registry_owners.toml: {error}"));
    let registry = inventory::read();
    let tables: BTreeSet<&str> = registry.tables.keys().map(String::as_str).collect();
    assert_eq!(owners.len(), 94);
    let found = problems(&owners, &tables, &world);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[tokio::test]
async fn a_false_owner_is_found() {
    let db = Database::new().await;
    let world = World::of(db.pool()).await;
    let good = "{ kind = 'orders.process_order' }";
    let cases = [
        ("{ kind = 'orders.process_orders' }", "kind orders.process_orders does not exist"),
        ("{ kind = 'orders.process_order', planned = true }", "kind orders.process_order exists: remove planned"),
        ("{ kind = 'cooking.boil_egg', planned = true }", "is no name of that sort"),
        ("{ kind = 'orders.process', planned = true }", "is no name of that sort"),
        ("{ function = 'no_such_function' }", "function no_such_function does not exist"),
        ("{ function = 'log_event' }", "function log_event does not name the table"),
        ("{ view = 'v_no_such_view' }", "view v_no_such_view does not exist"),
        ("{ view = 'v_outbox_health' }", "view v_outbox_health does not name the table"),
        ("{ http = 'delete-batch', planned = true }", "is no name of that sort"),
        ("{ http = 'shopify-webhook-handler', planned = true }", "exists: remove planned"),
        ("{ page = 'no_such_page' }", "page no_such_page does not exist"),
        ("{ statement = 'engine/sql/attempt/no_such.sql' }", "does not exist"),
        ("{ statement = 'engine/sql/attempt/settle.sql' }", "does not name the table"),
        ("{ kind = '' }", "one is wanted"),
        ("{ planned = true }", "0 names, and one is wanted"),
        ("{ kind = 'orders.process_order', view = 'v_pack_queue' }", "2 names, and one is wanted"),
    ];
    for (part, wanted) in cases {
        for text in [format!("[orders]\nwriter = {part}\nreader = {good}"), format!("[orders]\nwriter = {good}\nreader = {part}")] {
            let owners: Owners = toml::from_str(&text).expect("the text is sound");
            let found = problems(&owners, &BTreeSet::from(["orders"]), &world);
            assert!(found.len() == 1 && found[0].contains(wanted), "{part}: {found:?}");
        }
    }
    let owners: Owners = toml::from_str(&format!("[orders]\nwriter = {good}\nreader = {good}")).expect("the text is sound");
    assert_eq!(
        problems(&owners, &BTreeSet::from(["customers"]), &world),
        ["customers: nobody owns it", "orders: the registry has no such table"]
    );
    for broken in ["[orders]\nwriter = {}", "[orders]\nwriter = { kid = 'a' }\nreader = {}", "[orders]\n[orders]"] {
        assert!(toml::from_str::<Owners>(broken).is_err(), "{broken}");
    }
}
