//! Views as the migrations wrote them.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// The query of each view by the view's name, as the last migration that made it wrote it.
pub fn written(migrations: impl Iterator<Item = &'static str>) -> HashMap<String, String> {
    let mut found = HashMap::new();
    for text in migrations {
        for start in ["create view ", "create or replace view "] {
            let statements = text.match_indices(start).filter(|(at, _)| *at == 0 || text[..*at].ends_with('\n'));
            found.extend(statements.filter_map(|(at, _)| statement(&text[at + start.len()..])));
        }
    }
    found
}

/// Name and query of what follows `create view`, up to the semicolon that ends it.
fn statement(text: &str) -> Option<(String, String)> {
    let (name, rest) = text.split_once(" as")?;
    let mut quoted = false;
    let end = rest.find(|letter| {
        quoted ^= letter == '\'';
        letter == ';' && !quoted
    })?;
    Some((name.to_string(), rest[..end].to_string()))
}

/// Whether the server would say the same of a view of this query as it says of the one it has.
pub async fn is_same(connection: &mut PgConnection, query: &str, selected: &str) -> Result<bool, sqlx::Error> {
    let mut attempt = connection.begin().await?;
    let made = sqlx::raw_sql(AssertSqlSafe(format!("create temporary view dump_written as {query}"))).execute(&mut *attempt).await;
    let same = match made {
        Ok(_) => {
            sqlx::query_scalar("select pg_get_viewdef('pg_temp.dump_written'::regclass) = $1")
                .bind(selected)
                .fetch_one(&mut *attempt)
                .await?
        }
        Err(error) if error.as_database_error().is_some() => false,
        Err(error) => return Err(error),
    };
    attempt.rollback().await?;
    Ok(same)
}

#[cfg(test)]
mod tests {
    use super::written;

    #[test]
    fn the_last_text_of_a_view_counts() {
        let texts = ["create view a.b as\nselect ';' as c; -- d\n", "select 1;\ncreate or replace view a.b as\nselect 2;\n"];
        assert_eq!(written(texts[..1].iter().copied())["a.b"], "\nselect ';' as c");
        assert_eq!(written(texts.iter().copied())["a.b"], "\nselect 2");
    }
}
