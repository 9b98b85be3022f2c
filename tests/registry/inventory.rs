//! The component registry as this project keeps it, `inventory.json`, and a schema made of it.
//!
//! Columns and indexes are written as SQL, so that PostgreSQL itself says what each means: the tests build them in a
//! schema of their own and compare the two catalogs.

use std::collections::BTreeMap;

use serde::Deserialize;

/// All that the registry asks of the database.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    pub enums: BTreeMap<String, Vec<String>>,
    pub tables: BTreeMap<String, Table>,
    pub views: Vec<String>,
    pub functions: Vec<String>,
    pub triggers: BTreeMap<String, String>,
}

/// One table; its indexes by name, without that of the primary key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    columns: Vec<String>,
    primary_key: String,
    references: BTreeMap<String, String>,
    indexes: BTreeMap<String, String>,
}

/// Where the registry's own schema is built.
pub const SCHEMA: &str = "expected";

/// Reads the project's copy.
pub fn read() -> Inventory {
    serde_json::from_str(include_str!("inventory.json")).expect("the inventory is JSON of the documented shape")
}

impl Inventory {
    /// Statements that build types, tables, keys and indexes in [`SCHEMA`].
    pub fn ddl(&self) -> String {
        let mut statements = vec![
            format!("create schema {SCHEMA}"),
            format!("set local search_path = {SCHEMA}, public"),
            "create domain vector as real[]".to_owned(),
            "create function uuid_generate_v4() returns uuid language sql as 'select gen_random_uuid()'".to_owned(),
        ];
        statements.extend(self.enums.iter().map(|(name, labels)| format!("create type {name} as enum ('{}')", labels.join("', '"))));
        for (name, table) in &self.tables {
            statements.push(format!("create table {name} ({}, primary key ({}))", table.columns.join(", "), table.primary_key));
            statements.extend(table.indexes.iter().map(|(index, definition)| index_ddl(name, index, definition)));
        }
        for (name, table) in &self.tables {
            let keys = table.references.iter();
            statements.extend(keys.map(|(column, target)| format!("alter table {name} add foreign key ({column}) references {target}")));
        }
        statements.join(";\n")
    }
}

fn index_ddl(table: &str, name: &str, definition: &str) -> String {
    match definition.strip_prefix("unique ") {
        Some(rest) => format!("create unique index {name} on {table} {rest}"),
        None => format!("create index {name} on {table} {definition}"),
    }
}
