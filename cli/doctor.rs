//! `rawops doctor`: every promise of the ledger, checked on the live database.

use std::{process::ExitCode, time::Instant};

use engine::store::{
    doctor::{self, Finding, Severity},
    payload::{self, Unreadable},
};
use serde_json::json;

use crate::{
    database::with_pool,
    logging,
    output::{self, brief, counted, or_blank},
};

/// The exit code when the database could not be looked at.
const COULD_NOT_LOOK: u8 = 2;

/// What `doctor` may be told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Instead: decode everything that is stored and may yet run, with this program. Ask it before a deploy
    #[arg(long)]
    payloads: bool,
    #[command(flatten)]
    format: output::Format,
}

pub async fn run(url: Option<&str>, args: &Args) -> anyhow::Result<ExitCode> {
    logging::start("error")?;
    let looked = if args.payloads { examine_payloads(url, args).await } else { examine_ledger(url, args).await };
    looked.or_else(|error| {
        output::complain(&format!("could not look: {error}"));
        Ok(ExitCode::from(COULD_NOT_LOOK))
    })
}

async fn examine_payloads(url: Option<&str>, args: &Args) -> anyhow::Result<ExitCode> {
    let report = with_pool(url, async |pool| Ok(payload::examine(pool, &jobs::kinds()).await?)).await?;
    if args.format.json {
        output::json(&report)?;
    } else {
        if !report.unreadable.is_empty() {
            let row = |one: &Unreadable| {
                let reason = one.undoes.map_or_else(|| one.reason.clone(), |step| format!("to undo step {step}: {}", one.reason));
                [one.job_id.to_string(), one.kind.clone(), or_blank(one.letter_id), brief(&reason, 120)]
            };
            output::table(["JOB", "KIND", "DEAD LETTER", "WHY"], report.unreadable.iter().map(row))?;
        }
        let (all, bad) = (counted(report.looked_at as usize, "payload"), report.unreadable.len());
        output::print(format!("{all} looked at, {bad} that this program cannot run"))?;
    }
    Ok(if report.unreadable.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn examine_ledger(url: Option<&str>, args: &Args) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    let findings = with_pool(url, async |pool| Ok(doctor::examine(pool).await?)).await?;
    let faults = findings.iter().filter(|finding| finding.severity == Severity::Fault).count();
    let warnings = findings.len() - faults;
    if args.format.json {
        output::json(&json!({ "faults": faults, "warnings": warnings, "findings": findings }))?;
    } else {
        show(&findings)?;
        let (faults, warnings) = (counted(faults, "fault"), counted(warnings, "warning"));
        let (checks, took) = (doctor::checks().count(), begun.elapsed().as_secs_f64());
        output::print(format!("{faults}, {warnings} by {checks} checks in {took:.1} s"))?;
    }
    Ok(if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints findings as a table; nothing when there are none.
pub fn show(findings: &[Finding]) -> anyhow::Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    let row = |finding: &Finding| {
        [finding.severity.as_str().to_string(), finding.check.to_string(), or_blank(finding.job_id), finding.detail.clone()]
    };
    output::table(["SEVERITY", "CHECK", "JOB", "DETAIL"], findings.iter().map(row))
}
