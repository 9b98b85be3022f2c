//! Canaries: strings that stand for secrets and for what belongs to people. They go in with arguments, webhooks and mails;
//! after a run everything is searched for them that is read by others: logs, figures, and every column that is not made for
//! them.

use std::{fs, io, path::Path};

use crate::stage::Stage;

/// The secret that the run's shop signs with.
pub const SHOP_SECRET: &str = "canary-of-the-shop-5c1e";
/// The keys of the outside system that mails go to.
pub const MAIL_KEY: &str = "canary-of-the-mails-9b27";
/// What some programs carry in their arguments.
pub const ARGUMENT: &str = "canary-of-the-arguments-30fd";

/// What all canaries have in common: the secrets above, and the addresses and telephones of the sandbox's people.
const MARKS: [&str; 3] = ["canary-of-the-", "@example.com", "+447700900"];

/// A log that has a canary on purpose: a search that does not find it proves nothing.
const CONTROL: &str = "control.log";

/// Columns that are made for arguments, webhooks, mails and people.
const BELONGS: [(&str, &[&str]); 8] = [
    ("engine.compensation", &["args"]),
    ("engine.job", &["args"]),
    // What a workflow begins anew with is the result of an act.
    ("engine.step", &["result"]),
    ("raw_ops.customers", &["address_json", "email", "phone"]),
    ("raw_ops.dead_letter_queue", &["payload"]),
    ("raw_ops.orders", &["ship_phone"]),
    ("raw_ops.outbox", &["payload_json"]),
    ("raw_ops.webhook_inbox", &["raw_payload"]),
];

/// What a search came to.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// How many logs, pages of figures and tables were searched.
    pub places: usize,
    /// Canaries where none may be.
    pub hits: Vec<String>,
    /// How many rows have one where it belongs.
    pub planted: i64,
    /// Whether the one in the log that has it on purpose was found.
    pub control: bool,
}

impl Search {
    /// Searches what a run has left, and pages of figures that were fetched before.
    ///
    /// # Errors
    /// The database's and the file system's.
    pub async fn of(stage: &Stage, figures: &[String]) -> anyhow::Result<Self> {
        let mut search = Self::default();
        fs::write(stage.folder.join(CONTROL), format!("WARN jobs::mails: a mail is refused to=ann@example.com key={MAIL_KEY}\n"))?;
        search.logs(&stage.folder)?;
        for page in figures {
            search.text("/metrics", page);
        }
        search.tables(stage).await?;
        Ok(search)
    }

    fn logs(&mut self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "log") {
                continue;
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // A process may have died within a character.
            let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
            if name == CONTROL {
                let mut control = Self::default();
                control.text(&name, &text);
                self.control = !control.hits.is_empty();
            } else {
                self.text(&name, &text);
            }
        }
        Ok(())
    }

    fn text(&mut self, place: &str, text: &str) {
        self.places += 1;
        let hits = text.lines().filter(|line| MARKS.iter().any(|mark| line.contains(mark)));
        self.hits.extend(hits.map(|line| format!("{place}: {line:.300}")));
    }

    async fn tables(&mut self, stage: &Stage) -> anyhow::Result<()> {
        let tables: Vec<String> = sqlx::query_scalar(
            "select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname in ('engine', 'raw_ops') and c.relkind in ('r', 'p') and not c.relispartition order by 1",
        )
        .fetch_all(&stage.pool)
        .await?;
        for table in tables {
            self.places += 1;
            let belongs = BELONGS.iter().find(|(name, _)| *name == table).map_or(&[][..], |(_, columns)| columns);
            // The name is the catalogue's own.
            let columns: Vec<(String, i64)> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
                "select e.key, count(*) from {table} t cross join jsonb_each_text(to_jsonb(t)) e
                 where exists (select from unnest($1::text[]) m (mark) where strpos(e.value, m.mark) > 0) group by e.key order by e.key"
            )))
            .bind(MARKS.map(String::from).to_vec())
            .fetch_all(&stage.pool)
            .await?;
            for (column, rows) in columns {
                if belongs.contains(&column.as_str()) {
                    self.planted += rows;
                } else {
                    self.hits.push(format!("{table}.{column}: {rows} rows"));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_a_canary_is_found_and_no_other() {
        let mut search = Search::default();
        search.text("worker-0.log", "WARN attempt failed job.id=1\nWARN mail to=bo.marsh.7@example.com\n");
        search.text("/metrics", "rawops_jobs 1\n");
        assert_eq!(search.hits, ["worker-0.log: WARN mail to=bo.marsh.7@example.com"]);
        assert_eq!(search.places, 2);
        assert!([SHOP_SECRET, MAIL_KEY, ARGUMENT].iter().all(|canary| canary.starts_with(MARKS[0])));
    }
}
