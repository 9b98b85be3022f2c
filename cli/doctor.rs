//! `rawops doctor`: every promise of the ledger, checked on the live database.

use std::{process::ExitCode, time::Instant};

use engine::store::doctor::{self, Finding, Severity};
use serde_json::json;

use crate::{database::with_pool, logging, output};

/// The exit code when the database could not be looked at.
const COULD_NOT_LOOK: u8 = 2;

/// What `doctor` may be told.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    format: output::Format,
}

pub async fn run(url: Option<&str>, args: &Args) -> anyhow::Result<ExitCode> {
    logging::start("error")?;
    let begun = Instant::now();
    let findings = match with_pool(url, async |pool| Ok(doctor::examine(pool).await?)).await {
        Ok(findings) => findings,
        Err(error) => {
            output::complain(&format!("could not look: {error}"));
            return Ok(ExitCode::from(COULD_NOT_LOOK));
        }
    };
    let faults = findings.iter().filter(|finding| finding.severity == Severity::Fault).count();
    let warnings = findings.len() - faults;
    if args.format.json {
        output::json(&json!({ "faults": faults, "warnings": warnings, "findings": findings }))?;
    } else {
        show(&findings)?;
        let (faults, warnings) = (output::counted(faults, "fault"), output::counted(warnings, "warning"));
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
        [finding.severity.as_str().to_string(), finding.check.to_string(), output::or_blank(finding.job_id), finding.detail.clone()]
    };
    output::table(["SEVERITY", "CHECK", "JOB", "DETAIL"], findings.iter().map(row))
}
