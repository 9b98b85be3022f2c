//! `rawops tokens`: who may call over HTTP.

use std::process::ExitCode;

use anyhow::bail;
use serde_json::json;
use sqlx::PgPool;
use web::api::{
    Scope,
    tokens::{self, Token},
};

use crate::{
    database::with_pool,
    jobs::who,
    logging,
    output::{self, Format, moment, or_blank},
};

/// What can be done with tokens.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a token and print it; it cannot be shown again
    Create {
        /// What it is for: a program, a person
        #[arg(value_name = "NAME", value_parser = name)]
        name: String,
        /// What it may do; may be given more than once
        #[arg(long, value_name = "SCOPE", required = true, value_parser = scope)]
        scope: Vec<Scope>,
        /// For how many days it serves; without this, until it is revoked
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i32).range(1..=3650))]
        days: Option<i32>,
        #[command(flatten)]
        format: Format,
    },
    /// List tokens, newest first; the tokens themselves are not kept
    List {
        #[command(flatten)]
        format: Format,
    },
    /// End a token at once
    Revoke {
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        format: Format,
    },
}

fn name(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.contains(char::is_control) {
        return Err("a token needs a name by which people know it, in one line".into());
    }
    Ok(text.into())
}

fn scope(text: &str) -> Result<Scope, String> {
    let known = Scope::ALL.map(Scope::as_str).join(", ");
    Scope::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or_else(|| format!("the scopes are {known}"))
}

pub async fn run(url: Option<&str>, command: Command) -> anyhow::Result<ExitCode> {
    logging::start("error")?;
    with_pool(url, async |pool| answer(pool, command).await).await
}

async fn answer(pool: &PgPool, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Create { name, scope, days, format } => {
            let token = tokens::create(pool, &name, &scope, &who(), days).await?;
            if format.json { output::json(&json!({ "name": name, "token": token }))? } else { output::print(token)? }
        }
        Command::List { format } => {
            let tokens = tokens::list(pool).await?;
            if format.json { output::json(&tokens)? } else { show(&tokens)? }
        }
        Command::Revoke { name, format } => {
            if !tokens::revoke(pool, &name).await? {
                bail!("there is no live token called {name}: `rawops tokens list` shows them");
            }
            if format.json { output::json(&json!({ "revoked": name }))? } else { output::print(format!("the token {name} is revoked"))? }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(tokens: &[Token]) -> anyhow::Result<()> {
    if tokens.is_empty() {
        return output::print("no tokens");
    }
    let row = |token: &Token| {
        let state = match token {
            Token { revoked_at: Some(_), .. } => "revoked",
            Token { is_expired: true, .. } => "expired",
            _ => "live",
        };
        let (expires, used) = (or_blank(token.expires_at.map(moment)), or_blank(token.last_used_at.map(moment)));
        [token.name.clone(), state.into(), token.scopes.join(" "), moment(token.created_at), expires, used]
    };
    output::table(["NAME", "STATE", "SCOPES", "CREATED", "EXPIRES", "LAST USED"], tokens.iter().map(row))
}
