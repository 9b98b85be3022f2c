//! What a run leaves in its database, as files beside its logs: the database itself is gone with the next run.

use std::{fs, io::Write as _, path::Path};

use anyhow::Context;
use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, PgPool};

/// Every table that is no part of another.
const TABLES: &str = "
    select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition and n.nspname in ('engine', 'raw_ops', 'ordeal') order by 1";

/// Writes every table that has rows into a folder, as CSV with a header.
///
/// # Errors
/// The server's and the file system's.
pub async fn write(pool: &PgPool, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let mut connection = pool.acquire().await?;
    let tables: Vec<String> = sqlx::query_scalar(TABLES).fetch_all(&mut *connection).await?;
    for table in tables {
        let has_rows = AssertSqlSafe(format!("select exists (select from {table})"));
        if !sqlx::query_scalar(has_rows).fetch_one(&mut *connection).await? {
            continue;
        }
        let mut file = fs::File::create(folder.join(format!("{table}.csv")))?;
        let copy = format!("copy (select * from {table}) to stdout with (format csv, header)");
        let mut rows = connection.copy_out_raw(&copy).await.with_context(|| table.clone())?;
        while let Some(part) = rows.try_next().await? {
            file.write_all(&part)?;
        }
    }
    Ok(())
}
