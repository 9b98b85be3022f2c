//! `rawops migrate`: brings the database to this program's schema. Any number may run at once.

use std::process::ExitCode;

use anyhow::bail;
use migrations::{dump, roles};
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::{database::Database, logging, output};

/// What `migrate` may be told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only make the group roles, as a superuser or with CREATEROLE; `rawops migrate` then states what each may do
    #[arg(long, conflicts_with_all = ["schema", "json"])]
    roles: bool,
    /// Print the schema afterwards: what the repository keeps in migrations/schema.sql
    #[arg(long, conflicts_with = "json")]
    schema: bool,
    #[command(flatten)]
    format: output::Format,
}

pub async fn run(url: Option<&str>, args: &Args) -> anyhow::Result<ExitCode> {
    logging::start("error")?;
    let database = Database::open(url, |_, _| ()).await?;
    let mut connection = database.connect().await?;
    if args.roles {
        make_roles(&mut connection).await?;
    } else {
        migrate(&mut connection, args).await?;
    }
    connection.close().await?;
    database.close().await?;
    Ok(ExitCode::SUCCESS)
}

async fn migrate(connection: &mut PgConnection, args: &Args) -> anyhow::Result<()> {
    let applied = migrations::run(connection).await?;
    let missing = roles::missing(connection).await?;
    if !missing.is_empty() {
        output::complain(&format!(
            "the roles {} are not set up, because this user may not make roles: run `rawops migrate --roles` as a superuser or with \
             CREATEROLE, then `rawops migrate` again. Until then only this user and superusers can work on the database",
            missing.join(", ")
        ));
    }
    let schema = migrations::newest();
    if args.format.json {
        output::json(&json!({ "applied": applied, "schema": schema, "missing_roles": missing }))
    } else if args.schema {
        output::print(dump::schema(connection).await?.trim_end())
    } else if applied.is_empty() {
        output::print(format!("nothing to do: the schema is at {schema:04}"))
    } else {
        let numbers: Vec<String> = applied.iter().map(|number| format!("{number:04}")).collect();
        output::print(format!("applied {}; the schema is at {schema:04}", numbers.join(", ")))
    }
}

async fn make_roles(connection: &mut PgConnection) -> anyhow::Result<()> {
    if let Err(error) = roles::create(connection).await {
        bail!("the roles cannot be made: connect as a superuser or as a user with CREATEROLE ({error})");
    }
    output::print(format!("the roles {} are there: run `rawops migrate` to state what each may do", roles::NAMES.join(", ")))
}
