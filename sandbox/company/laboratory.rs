//! What the laboratory found in each batch: five samples and the decision they lead to.

use chrono::Duration;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::json;
use uuid::Uuid;

use super::book::Book;
use super::draws::Theme;
use super::plan::{Batch, Verdict};
use super::sheet::{Thousandths, row};
use crate::shopify::people::pick;

/// Samples of a batch, as the law wants them.
const SAMPLES: usize = 5;
/// Below this a count is not told apart from nothing.
const DETECTION: i64 = 10;

/// What was found in one sample.
struct Found {
    has_salmonella: bool,
    enterobacteriaceae: i64,
}

impl Book<'_> {
    /// The laboratory's report of a batch, once there is one.
    pub fn laboratory(&mut self, place: u64, batch: &Batch) {
        let Some(reported) = self.past(batch.reported).filter(|_| batch.verdict != Verdict::Awaited) else { return };
        let mut random = self.stream(Theme::Plan, place + 1);
        let id = self.id("lab_results", place);
        let samples: Vec<Found> = (0..SAMPLES).map(|sample| found(&mut random, batch.verdict, sample, place)).collect();
        let worst = samples.iter().map(|sample| sample.enterobacteriaceae).max().unwrap_or(0);
        let is_clear = batch.verdict != Verdict::Unclear;
        let has_salmonella = samples.iter().any(|sample| sample.has_salmonella);
        let code = batch.code();
        row!(self.sheets, "lab_results", {
            id: id,
            batch_id: self.id("batches", place),
            lab_name: "Northgate Food Laboratories",
            report_pdf_url: format!("https://files.protocolraw.example/lab/{code}.pdf"),
            // A report that does not say "in 25 g" does not state absence.
            salmonella_absent: is_clear.then_some(!has_salmonella),
            enterobacteriaceae_cfu_per_g: worst.max(DETECTION),
            outcome: match batch.verdict { Verdict::Fails => "FAIL", Verdict::Unclear => "REVIEW", _ => "PASS" },
            collected_at: batch.produced,
            reported_at: reported,
            raw_email_metadata: json!({"from": "reports@northgate-lab.example", "subject": format!("Certificate {code}")}),
            confidence_score: Thousandths(if is_clear { random.random_range(955..999) } else { random.random_range(520..790) }),
            pdf_hash: format!("{}{}", self.draws.token("lab_results.hash", place * 2), self.draws.token("lab_results.hash", place * 2 + 1)),
            parsed_by: "pattern",
            listeria_absent: true,
            enterobacteriaceae_operator: operator(worst),
            enterobacteriaceae_text: count(worst),
        });
        for (sample, found) in samples.iter().enumerate() {
            self.sample(place, id, sample, found, is_clear, batch);
        }
    }

    fn sample(&mut self, place: u64, result: Uuid, sample: usize, found: &Found, is_clear: bool, batch: &Batch) {
        let salmonella = match (is_clear, found.has_salmonella) {
            (false, _) => "Not detected",
            (true, false) => "Not detected in 25 g",
            (true, true) => "Detected in 25 g",
        };
        row!(self.sheets, "lab_result_samples", {
            id: self.id("lab_result_samples", place * 8 + sample as u64),
            lab_result_id: result,
            sample_no: sample + 1,
            sample_ref: format!("{}-S{}", batch.code(), sample + 1),
            sample_grams: is_clear.then_some(25),
            salmonella_absent: is_clear.then_some(!found.has_salmonella),
            salmonella_text: salmonella,
            listeria_absent: true,
            listeria_text: "Not detected in 25 g",
            enterobacteriaceae_operator: operator(found.enterobacteriaceae),
            enterobacteriaceae_cfu_per_g: found.enterobacteriaceae.max(DETECTION),
            enterobacteriaceae_text: count(found.enterobacteriaceae),
            created_at: batch.reported + Duration::minutes(1),
        });
    }
}

fn found(random: &mut StdRng, verdict: Verdict, sample: usize, place: u64) -> Found {
    let usual = pick(random, &[0, 0, 0, 4, 20, 60, 140]);
    match verdict {
        // Half of the failures are Salmonella, the others a count beyond the limit of 5000.
        Verdict::Fails if place.is_multiple_of(2) => Found { has_salmonella: sample == 2, enterobacteriaceae: usual },
        Verdict::Fails if sample == 3 => Found { has_salmonella: false, enterobacteriaceae: 5_000 + random.random_range(0..90) * 100 },
        // No more than two samples above 10 is satisfactory.
        _ => Found { has_salmonella: false, enterobacteriaceae: if sample < 2 { usual } else { 0 } },
    }
}

const fn operator(count: i64) -> &'static str {
    if count < DETECTION { "<" } else { "=" }
}

fn count(count: i64) -> String {
    if count < DETECTION { format!("<{DETECTION} cfu/g") } else { format!("{count} cfu/g") }
}
