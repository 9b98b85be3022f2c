//! Work out how far a box is from what it should weigh, and say when it was packed wrong.
//!
//! check, instruction -> variance -> row; of a box that was packed wrong an exception and an alert, before it leaves
//!
//! Started by  a row of raw_ops.pack_quality_checks
//! Unique by   row, while a job for it lives

use chrono::{DateTime, Utc};
use engine::{Failure, Job, JobResult, Outcome, Run};
use rust_decimal::{Decimal, RoundingStrategy};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Judges this check.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct JudgeCheck {
    /// The row, in `raw_ops.pack_quality_checks`; a number as text.
    pub check_id: String,
}

/// What a packer said of a box, beside its instruction.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(clippy::struct_excessive_bools, reason = "they are the boxes that a packer ticks")]
pub struct Check {
    /// What it should weigh.
    pub expected_kg: Decimal,
    /// What it weighs.
    pub actual_kg: Decimal,
    /// When it was begun.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was closed.
    pub completed_at: Option<DateTime<Utc>>,
    /// Whether a logger inside runs.
    pub logger_activated: bool,
    /// Whether nothing moves inside.
    pub void_fill_complete: bool,
    /// Whether somebody looked at it and was content.
    pub visual_check_pass: bool,
    /// Its instruction.
    pub instruction_id: Option<i64>,
    /// Whether the instruction asks for a logger.
    pub logger_required: bool,
    /// How far its weight may be off, in percent.
    pub most_pct: Decimal,
}

/// What is found of a box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Above zero when it is heavier than it should be.
    pub variance_kg: Decimal,
    /// The same in percent of what it should weigh, to a hundredth; none when that is nothing.
    pub variance_pct: Option<Decimal>,
    /// How long it took.
    pub seconds: Option<i32>,
    /// What is wrong with it, a sentence each.
    pub faults: Vec<String>,
}

/// Judges a check by its facts alone.
pub fn judge(check: &Check) -> Verdict {
    let variance_kg = check.actual_kg.checked_sub(check.expected_kg).unwrap_or_default();
    let share = |whole| variance_kg.checked_mul(Decimal::ONE_HUNDRED)?.checked_div(whole);
    let exact = Some(check.expected_kg).filter(|expected| *expected > Decimal::ZERO).and_then(share);
    let took = check.started_at.zip(check.completed_at).map(|(from, until)| (until - from).num_seconds());
    let mut faults = Vec::new();
    match exact {
        None => faults.push("what it should weigh is not above zero".into()),
        // Judged before it is rounded: what is beyond by a gram is beyond.
        Some(pct) if pct.abs() > check.most_pct => {
            let word = if pct.is_sign_negative() { "lighter" } else { "heavier" };
            let kg = variance_kg.abs().normalize();
            faults.push(format!("it is {kg} kg ({} %) {word} than it should be", rounded(pct.abs()).normalize()));
        }
        Some(_) => (),
    }
    let said = [
        (check.instruction_id.is_none(), "its order has no packing instruction"),
        (check.logger_required && !check.logger_activated, "no temperature logger runs in it, and one should"),
        (!check.void_fill_complete, "it is not filled up"),
        (!check.visual_check_pass, "it did not look right"),
        (took.is_some_and(|seconds| seconds < 0), "it was closed before it was begun"),
    ];
    faults.extend(said.into_iter().filter(|(wrong, _)| *wrong).map(|(_, words)| words.to_owned()));
    Verdict {
        variance_kg,
        variance_pct: exact.map(rounded),
        seconds: took.filter(|seconds| *seconds >= 0).and_then(|seconds| i32::try_from(seconds).ok()),
        faults,
    }
}

fn rounded(pct: Decimal) -> Decimal {
    pct.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero)
}

impl Job for JudgeCheck {
    const KIND: &'static str = "packing.judge_check";
    const QUEUE: &'static str = "packing";
    const PRIORITY: i16 = 2;

    fn schema() -> Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let id: i64 = self.check_id.parse().map_err(|_| Failure::validation(format!("{} is the id of no check", self.check_id)))?;
        let mut tx = run.begin().await?;
        let check: Option<Check> = sqlx::query_as(
            "select expected_kg, actual_kg, started_at, completed_at, logger_activated, void_fill_complete, visual_check_pass,
                 instruction_id, logger_required, most_pct from raw_ops.pack_check($1)",
        )
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(check) = check else { return Ok(Outcome::Cancel(format!("the check {id} is gone"))) };
        let verdict = judge(&check);
        sqlx::query("select raw_ops.settle_pack_check($1, $2, $3, $4, $5)")
            .bind(id)
            .bind(verdict.variance_kg)
            .bind(verdict.variance_pct)
            .bind(verdict.seconds)
            .bind(&verdict.faults)
            .execute(&mut *tx)
            .await?;
        run.complete_in(tx, json!({ "variance_pct": verdict.variance_pct, "faults": verdict.faults })).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kg(text: &str) -> Decimal {
        text.parse().expect("a number")
    }

    fn check(expected: &str, actual: &str) -> Check {
        Check {
            expected_kg: kg(expected),
            actual_kg: kg(actual),
            started_at: None,
            completed_at: None,
            logger_activated: false,
            void_fill_complete: true,
            visual_check_pass: true,
            instruction_id: Some(1),
            logger_required: false,
            most_pct: kg("3"),
        }
    }

    #[test]
    fn a_box_may_be_off_by_as_much_as_is_allowed_and_no_gram_more() {
        for (expected, actual, pct, is_wrong) in [
            ("6.000", "6.000", "0", false),
            ("6.000", "6.180", "3", false),
            ("6.000", "6.181", "3.02", true),
            ("6.000", "5.820", "-3", false),
            ("6.000", "5.819", "-3.02", true),
            ("3.000", "3.0900001", "3.00", true),
            ("0.001", "100", "9999900", true),
        ] {
            let verdict = judge(&check(expected, actual));
            assert_eq!(verdict.variance_pct, Some(kg(pct)), "{expected} {actual}");
            assert_eq!(verdict.variance_kg, kg(actual) - kg(expected));
            assert_eq!(!verdict.faults.is_empty(), is_wrong, "{expected} {actual}: {:?}", verdict.faults);
        }
        assert_eq!(judge(&check("6", "5.5")).faults, ["it is 0.5 kg (8.33 %) lighter than it should be"]);
        for expected in ["0", "-1"] {
            let verdict = judge(&check(expected, "1"));
            assert_eq!((verdict.variance_pct, verdict.faults.len()), (None, 1));
        }
        let edge = Check { expected_kg: Decimal::MIN, actual_kg: Decimal::MAX, ..check("1", "1") };
        assert_eq!(judge(&edge).faults.len(), 1, "nothing overflows");
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let at = |text: &str| Some(text.parse().expect("a moment"));
        let wrong = Check {
            logger_required: true,
            instruction_id: None,
            void_fill_complete: false,
            visual_check_pass: false,
            started_at: at("2026-07-01T10:00:00Z"),
            completed_at: at("2026-07-01T09:59:59Z"),
            ..check("6", "7")
        };
        let verdict = judge(&wrong);
        assert_eq!((verdict.faults.len(), verdict.seconds), (6, None), "{:?}", verdict.faults);
        let right = Check {
            logger_required: true,
            logger_activated: true,
            started_at: at("2026-07-01T10:00:00Z"),
            completed_at: at("2026-07-01T10:03:20Z"),
            ..check("6", "6")
        };
        assert_eq!(judge(&right), Verdict { variance_kg: kg("0"), variance_pct: Some(kg("0")), seconds: Some(200), faults: Vec::new() });
    }
}
