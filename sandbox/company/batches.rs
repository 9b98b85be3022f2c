//! Batches: what the kitchen made, what became of it, and what is left.

use chrono::{DateTime, Duration, Utc};
use rand::RngExt;
use serde_json::json;

use super::book::{Book, browser};
use super::calendar::in_britain;
use super::draws::Theme;
use super::plan::{Batch, Verdict};
use super::sheet::{Pounds, Thousandths, row};
use super::stock::{Movement, Reason};
use crate::shopify::catalogue;
use crate::shopify::people::pick;

/// Where the proof of a batch is shown.
const PROOF: &str = "https://proof.protocolraw.example";

/// A change of a batch's status: to what, by whom, when.
type Step = (&'static str, &'static str, DateTime<Utc>);

impl Book<'_> {
    /// Every batch, as it stands in the end.
    pub fn batches(&mut self) {
        let batches = &self.ending.batches;
        for (place, batch) in batches.iter().enumerate() {
            let place = self.first + place as u64;
            let steps = self.steps(batch);
            self.batch(place, batch, &steps);
            self.laboratory(place, batch);
            self.history(place, batch, &steps);
            self.proof(place, batch);
        }
        self.on_hand();
    }

    /// The statuses that a batch went through.
    fn steps(&self, batch: &Batch) -> Vec<Step> {
        let made = ("QA_HOLD", "create-batch", batch.made());
        let rejected = (batch.verdict == Verdict::Fails).then_some(("REJECTED", "lab results", batch.reported));
        let by = if batch.verdict == Verdict::Unclear { "manual override" } else { "lab results" };
        let released = batch.released.map(|at| ("RELEASED", by, at));
        let recalled = batch.recalled.map(|at| ("RECALLED", "quality manager", at));
        let depleted = batch.depleted.filter(|_| batch.released.is_some()).map(|at| ("DEPLETED", "dispatch", at));
        let mut steps: Vec<Step> = [Some(made), rejected, released, recalled.or(depleted)].into_iter().flatten().collect();
        steps.retain(|(_, _, at)| *at <= self.until);
        steps
    }

    fn batch(&mut self, place: u64, batch: &Batch, steps: &[Step]) {
        let mut random = self.stream(Theme::Batch, place);
        let product = &catalogue()[batch.product];
        let grams = batch.units * i64::from(product.grams);
        let per_kg = random.random_range(3_600..5_400);
        let public = self.public_id(place);
        let released = batch.released.and_then(|at| self.past(at));
        let after = |hours| released.map(|at| at + Duration::hours(hours)).filter(|at| *at <= self.until);
        let status = steps.last().map_or("QA_HOLD", |(status, ..)| status);
        row!(self.sheets, "batches", {
            id: self.id("batches", place),
            batch_code: batch.code(),
            product_id: self.known.products[batch.product],
            produced_at: batch.produced,
            status: status,
            created_at: batch.made(),
            kg_produced: Thousandths(grams),
            total_cost_gbp: Pounds(grams * per_kg / 10_000),
            cogs_per_kg_gbp: Thousandths(per_kg),
            proof_url: format!("{PROOF}/b/{public}"),
            production_date: batch.produced,
            expiry_date: batch.expiry(),
            storage_temp_min: -25,
            storage_temp_max: -18,
            packaging_type: "pouch",
            qty_on_hand: batch.on_hand,
            qty_reserved: batch.reserved,
            qr_image_url: format!("{PROOF}/qr/{public}.svg"),
            proof_insert_pdf_url: released.map(|_| format!("{PROOF}/insert/{public}.pdf")),
            proof_published_at: released,
            inserts_printed_at: after(3),
            inserts_shipped_to_3pl_at: after(26),
            proof_insert_generated_at: released,
            qa_hold_started_at: batch.made(),
            released_at: released,
            formulation_id: self.known.formulation,
            label_pdf_url: format!("{PROOF}/label/{public}.pdf"),
            qty_soft_reserved: 0,
            last_reservation_at: batch.reserved_at,
            public_batch_id: public,
        });
        row!(self.sheets, "inventory", {
            id: self.id("inventory", place),
            batch_id: self.id("batches", place),
            location: if released.is_some() { "3PL-PRIMARY" } else { "QA_HOLD" },
            kg_available: Thousandths(batch.on_hand * i64::from(product.grams)),
            updated_at: batch.reserved_at.unwrap_or(batch.made()),
        });
    }

    fn history(&mut self, place: u64, batch: &Batch, steps: &[Step]) {
        let mut before = None;
        for (step, (status, by, at)) in steps.iter().enumerate() {
            let is_judged = matches!(*status, "RELEASED" | "REJECTED");
            row!(self.sheets, "batch_status_history", {
                id: self.id("batch_status_history", place * 4 + step as u64),
                batch_id: self.id("batches", place),
                old_status: before,
                new_status: status,
                triggered_by: by,
                lab_result_id: is_judged.then(|| self.id("lab_results", place)),
                created_at: at,
            });
            before = Some(*status);
        }
        let Some(at) = batch.released.filter(|_| batch.verdict == Verdict::Unclear) else { return };
        row!(self.sheets, "manual_override_audit", {
            id: self.id("manual_override_audit", place),
            batch_id: self.id("batches", place),
            batch_code: batch.code(),
            override_type: "REVIEW_RELEASE",
            old_status: "QA_HOLD",
            new_status: "RELEASED",
            requester_name: "Alex Morgan",
            approver_name: "Jo Fletcher",
            justification: "The laboratory confirmed by mail that all five samples were tested in 25 g; the report left it out.",
            evidence_pdf_url: format!("{PROOF}/evidence/{}.pdf", batch.code()),
            created_at: at,
        });
    }

    fn proof(&mut self, place: u64, batch: &Batch) {
        let mut random = self.stream(Theme::Chat, place);
        let (id, public) = (self.id("batches", place), self.public_id(place));
        row!(self.sheets, "proof_artifacts", {
            id: self.id("proof_artifacts", place),
            batch_id: id,
            proof_url: format!("{PROOF}/b/{public}"),
            qr_image_url: format!("{PROOF}/qr/{public}.svg"),
            proof_insert_pdf_url: batch.released.map(|_| format!("{PROOF}/insert/{public}.pdf")),
            proof_json_url: format!("{PROOF}/b/{public}.json"),
            checksum: self.draws.token("proof_artifacts.checksum", place),
            generated_at: batch.released.unwrap_or(batch.made()),
        });
        let jobs = [("qr", Some(batch.made())), ("label", Some(batch.made())), ("insert", batch.released)];
        for (job, (asset, at)) in jobs.into_iter().enumerate() {
            let Some(at) = at.and_then(|at| self.past(at)) else { continue };
            let took = random.random_range(90..900);
            row!(self.sheets, "proof_jobs", {
                id: self.id("proof_jobs", place * 4 + job as u64),
                batch_id: id,
                job_key: format!("{}:{asset}", batch.code()),
                state: "completed",
                attempts: 1,
                created_at: at,
                updated_at: at,
                processing_duration_ms: took,
            });
        }
        let Some(released) = batch.released else { return };
        for visit in 0..random.random_range(2..12_u64) {
            let (device, agent) = browser(&mut random);
            let Some(at) = self.past(released + Duration::minutes(random.random_range(3_000..40_000))) else { continue };
            let kind = pick(&mut random, &["page_view", "page_view", "pdf_open", "share"]);
            row!(self.sheets, "proof_page_events", {
                id: self.id("proof_page_events", place * 16 + visit),
                event_type: kind,
                batch_code: batch.code(),
                public_batch_id: public.clone(),
                user_agent: agent,
                device_type: device,
                share_method: (kind == "share").then_some("whatsapp"),
                created_at: at,
            });
        }
    }

    /// Units of each product that are released.
    fn on_hand(&mut self) {
        for (place, product) in catalogue().iter().enumerate() {
            let released =
                self.ending.batches.iter().filter(|batch| batch.product == place && batch.released.is_some() && batch.recalled.is_none());
            let units: i64 = released.map(|batch| batch.on_hand).sum();
            row!(self.sheets, "inventory_on_hand", {
                id: self.id("inventory_on_hand", self.first + place as u64),
                sku: product.sku,
                qty_available: units,
                location: "3PL-PRIMARY",
                updated_at: self.until,
                created_at: in_britain(self.customer(self.first).since.date_naive(), 9, 0),
            });
        }
    }

    /// A change of what there is of a product.
    pub fn movement(&mut self, sequence: u64, moved: &Movement) {
        let batch = &self.ending.batches[moved.batch];
        let (kind, notes) = match moved.reason {
            Reason::Made | Reason::Released => ("production", None),
            Reason::Dispatched => ("dispatch", None),
            Reason::Counted => ("manual_adjustment", Some("Count: pouches damaged")),
            Reason::Recalled => ("write_off", Some("Called back and destroyed")),
            Reason::Rejected => ("write_off", Some("Rejected and destroyed")),
        };
        row!(self.sheets, "inventory_movements", {
            id: self.id("inventory_movements", sequence),
            sku: catalogue()[batch.product].sku,
            movement_type: kind,
            qty_change: moved.change,
            qty_before: moved.before,
            qty_after: moved.before + moved.change,
            reference_id: self.id("batches", self.first + moved.batch as u64),
            reference_type: "batch",
            notes: notes,
            created_at: moved.at,
        });
    }

    /// A batch's name in public; 80 bits that do not follow from its code.
    fn public_id(&self, place: u64) -> String {
        let mut token = self.draws.token("batches.public", place);
        token.truncate(20);
        token
    }

    /// A price list for a kilogram, and what the kitchen bills.
    pub fn invoices(&mut self) {
        for (place, batch) in self.ending.batches.iter().enumerate() {
            let place = self.first + place as u64;
            if !self.is_recent(batch.made() + Duration::days(2), 60) {
                continue;
            }
            let at = batch.made() + Duration::days(2);
            let is_clear = !place.is_multiple_of(17);
            row!(self.sheets, "invoice_parsing_jobs", {
                id: self.id("invoice_parsing_jobs", place),
                status: if is_clear { "completed" } else { "failed_review" },
                invoice_pdf_url: format!("https://files.protocolraw.example/invoices/{}.pdf", batch.code()),
                sender_email: "accounts@copacker.example",
                invoice_type: "co-packing",
                parsed_data: is_clear.then(|| json!({"batch_code": batch.code(), "units": batch.units})),
                confidence_score: if is_clear { Thousandths(970) } else { Thousandths(410) },
                last_error: (!is_clear).then_some("the total is not the sum of the lines"),
                created_at: at,
                processed_at: at + Duration::seconds(8),
                processing_duration_ms: 2_140,
            });
        }
    }
}
