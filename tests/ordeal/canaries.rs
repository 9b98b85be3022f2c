//! Canaries: strings that stand for secrets and for what belongs to people. They go in with arguments, webhooks and mails;
//! after a run everything is searched for them that is read by others: logs, figures, and every column that is not made for
//! them.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

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
    ("raw_ops.webhook_inbox", &["raw_body", "raw_payload"]),
];

/// What a search came to.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// How many logs, pages of figures and tables were searched.
    pub places: usize,
    /// How many of them were pages of figures.
    pub pages: usize,
    /// How many were logs of a server.
    pub server_logs: usize,
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
        search.server(&stage.server_logs)?;
        for page in figures {
            search.pages += 1;
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
            let text = text_from(&path, 0)?;
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

    /// What servers have written since the run began, of its own databases and its neighbours'.
    fn server(&mut self, before: &LogEnds) -> io::Result<()> {
        for path in LogEnds::of(&before.folder)?.lengths.keys() {
            let begin = before.lengths.get(path).copied().unwrap_or_default();
            self.server_logs += 1;
            self.text(&path.file_name().unwrap_or_default().to_string_lossy(), &text_from(path, begin)?);
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
            // The name is the catalogue's own. A column of bytes comes as hexadecimal digits.
            let columns: Vec<(String, i64)> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
                "select e.key, count(*) from {table} t cross join jsonb_each_text(to_jsonb(t)) e
                 where exists (select from unnest($1::text[]) m (mark) where strpos(e.value, m.mark) > 0) group by e.key order by e.key"
            )))
            .bind(in_columns())
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

/// How long the logs of a folder were.
#[derive(Debug, Clone, Default)]
pub struct LogEnds {
    folder: PathBuf,
    lengths: BTreeMap<PathBuf, u64>,
}

impl LogEnds {
    /// How long they are.
    ///
    /// # Errors
    /// The file system's.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let mut lengths = BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                lengths.insert(path.clone(), fs::metadata(&path)?.len());
            }
        }
        Ok(Self { folder: folder.into(), lengths })
    }
}

/// The text of a log from one of its bytes on. A process may have died within a character.
fn text_from(path: &Path, begin: u64) -> io::Result<String> {
    let (mut file, mut bytes) = (fs::File::open(path)?, Vec::new());
    file.seek(SeekFrom::Start(begin))?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The marks as columns have them: as text, and as PostgreSQL writes bytes.
fn in_columns() -> Vec<String> {
    let digits = |mark: &str| mark.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    MARKS.iter().flat_map(|mark| [(*mark).to_owned(), digits(mark)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_searched_from_where_its_run_began() {
        let folder = std::env::temp_dir().join(format!("ordeal-canaries-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder can be made");
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("a log can be written");
        write("node-0.log", "an earlier run to=a@example.com\n");
        write("node-1.log", "a standby\n");
        let before = LogEnds::of(&folder).expect("the folder can be read");
        write("node-0.log", "an earlier run to=a@example.com\nDETAIL:  Failing row contains (b@example.com)\n");
        write("node-2.log", "a new standby of +44770090012\n");
        write("data", "c@example.com\n");
        let mut search = Search::default();
        search.server(&before).expect("the logs can be read");
        assert_eq!(search.hits, ["node-0.log: DETAIL:  Failing row contains (b@example.com)", "node-2.log: a new standby of +44770090012"]);
        assert_eq!((search.server_logs, search.places), (3, 3));
        fs::remove_dir_all(&folder).expect("the folder can be removed");
    }

    #[test]
    fn columns_are_searched_for_bytes_too() {
        let marks = in_columns();
        assert_eq!(marks.len(), 2 * MARKS.len());
        assert!(marks.contains(&"@example.com".into()) && marks.contains(&"406578616d706c652e636f6d".into()), "{marks:?}");
    }

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
