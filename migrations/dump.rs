//! The schema of a database as text for people: `schema.sql`.
//!
//! Read from the catalog, in an order that does not depend on when something was made and in words that do not depend on
//! the server's version. Versions word a view differently; so a view stands as its migration wrote it, after the
//! server has agreed that this is what it has. It is for reading and comparing; a database is made by the migrations.

mod view;

use std::collections::HashMap;

use sqlx::{Connection, PgConnection};

const HEAD: &str = "-- The schema that the migrations make: for reading, and for comparing with a database.\n\
    -- Written by `rawops migrate --schema`; never edited, never run.\n";

/// The schemas `engine` and `raw_ops` with all that is in them, and who may do what.
///
/// # Errors
/// The database's.
pub async fn schema(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    let mut tx = connection.begin_with("begin isolation level repeatable read").await?;
    sqlx::query(include_str!("dump/begin.sql")).execute(&mut *tx).await?;
    let types: Vec<String> = sqlx::query_scalar(include_str!("dump/types.sql")).fetch_all(&mut *tx).await?;
    let types: Vec<String> = types.iter().map(|statement| lowered(statement)).collect();
    let mut after = grouped(sqlx::query_as(include_str!("dump/after.sql")).fetch_all(&mut *tx).await?);
    let tables = tables(&mut tx, &mut after).await?;
    let views = views(&mut tx, &mut after).await?;
    let functions: Vec<String> = sqlx::query_scalar(include_str!("dump/functions.sql")).fetch_all(&mut *tx).await?;
    let grants: Vec<String> = sqlx::query_scalar(include_str!("dump/grants.sql")).fetch_all(&mut *tx).await?;
    tx.rollback().await?;
    let sections = [
        section("Schemas, extensions, types, sequences", &types),
        section("Tables", &tables),
        section("Views", &views),
        section("Functions", &functions),
        section("Grants", &[grants.join("\n")]),
    ];
    Ok(HEAD.to_string() + &sections.concat())
}

async fn tables(connection: &mut PgConnection, after: &mut HashMap<String, Vec<String>>) -> Result<Vec<String>, sqlx::Error> {
    let mut lines = grouped(sqlx::query_as(include_str!("dump/lines.sql")).fetch_all(&mut *connection).await?);
    let tables: Vec<(String, String, String)> = sqlx::query_as(include_str!("dump/tables.sql")).fetch_all(connection).await?;
    let statement = |(name, head, tail): (String, String, String)| {
        let columns = lines.remove(&name).map(|lines| format!(" (\n    {}\n)", lines.join(",\n    "))).unwrap_or_default();
        let tail = if tail.is_empty() { tail } else { format!(" {tail}") };
        with_rest(lowered(&format!("{head}{columns}{tail};")), after.remove(&name))
    };
    Ok(tables.into_iter().map(statement).collect())
}

async fn views(connection: &mut PgConnection, after: &mut HashMap<String, Vec<String>>) -> Result<Vec<String>, sqlx::Error> {
    let written = view::written(crate::texts());
    let views: Vec<(String, String, String)> = sqlx::query_as(include_str!("dump/views.sql")).fetch_all(&mut *connection).await?;
    let mut statements = Vec::with_capacity(views.len());
    for (name, selected, statement) in views {
        let statement = match written.get(&name) {
            Some(query) if view::is_same(connection, query, &selected).await? => format!("create view {name} as{query};"),
            _ => lowered(&statement),
        };
        statements.push(with_rest(statement, after.remove(&name)));
    }
    Ok(statements)
}

/// The lines of each name, in their order.
fn grouped(rows: Vec<(String, String)>) -> HashMap<String, Vec<String>> {
    let mut groups: HashMap<String, Vec<String>> = HashMap::new();
    for (name, line) in rows {
        groups.entry(name).or_default().push(line);
    }
    groups
}

fn with_rest(statement: String, rest: Option<Vec<String>>) -> String {
    let rest = rest.unwrap_or_default();
    [statement].into_iter().chain(rest.iter().map(|line| lowered(line))).collect::<Vec<_>>().join("\n")
}

fn section(title: &str, statements: &[String]) -> String {
    if statements.is_empty() {
        return String::new();
    }
    format!("\n-- {title}\n\n{}\n", statements.join("\n\n"))
}

/// In lower case, but for what stands in quotes.
fn lowered(statement: &str) -> String {
    let mut quote = None;
    let lower = |letter: char| {
        match quote {
            Some(open) if letter == open => quote = None,
            None if letter == '\'' || letter == '"' => quote = Some(letter),
            _ => {}
        }
        if quote.is_some() { letter } else { letter.to_ascii_lowercase() }
    };
    statement.chars().map(lower).collect()
}

#[cfg(test)]
mod tests {
    use super::lowered;

    #[test]
    fn only_what_stands_outside_quotes_is_lowered() {
        assert_eq!(lowered("CHECK (a = 'It''s A' AND \"B\" > 1)"), "check (a = 'It''s A' and \"B\" > 1)");
    }
}
