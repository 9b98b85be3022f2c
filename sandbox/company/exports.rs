//! What is exchanged with the packer: the orders of a day one way, what has left the other way.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, NaiveDate, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::book::Book;
use super::orders::reference;
use super::placed::Journey;
use super::sale::Sale;
use super::sheet::row;
use super::shipments::tracking_no;

/// Days that the exchange is kept.
const KEPT: i64 = 14;

/// Exports that are not written yet, by their day.
pub type Exports = BTreeMap<NaiveDate, Export>;

/// The orders of one export.
#[derive(Debug, Default)]
pub struct Export {
    orders: Vec<Uuid>,
    lines: Vec<Value>,
    sent: Option<DateTime<Utc>>,
    dispatched: i64,
}

impl Book<'_> {
    /// Notes a box that has left, and the packer's word of it.
    pub fn import(&mut self, sale: &Sale<'_>, journey: &Journey) {
        if !self.is_recent(journey.dispatched, KEPT) {
            return;
        }
        let number = sale.placed.number;
        let processed = self.until.min(journey.dispatched + Duration::minutes(9));
        row!(self.sheets, "dispatch_import_queue", {
            id: self.id("dispatch_import_queue", number),
            external_order_id: reference(number),
            dispatch_data: json!({"tracking_no": tracking_no(number), "courier": "DPD", "dispatched_at": journey.dispatched.to_rfc3339()}),
            processing_status: "processed",
            created_at: journey.dispatched,
            processed_at: processed,
        });
        self.exports.entry(journey.dispatched.date_naive()).or_default().dispatched += 1;
    }

    /// Notes an order that was handed to the packer.
    pub fn export(&mut self, sale: &Sale<'_>) {
        let Some(journey) = sale.journey.filter(|journey| self.is_recent(journey.exported, KEPT)) else { return };
        let export = self.exports.entry(journey.exported.date_naive()).or_default();
        export.orders.push(sale.id);
        for line in &sale.placed.lines {
            let Some(product) = line.product else { continue };
            export.lines.push(json!([reference(sale.placed.number), product.sku, line.quantity]));
        }
        export.sent = export.sent.max(Some(journey.exported + Duration::seconds(30)));
    }

    /// Writes the exports of the days before `today`: nothing more is added to them.
    pub fn close_exports(&mut self, today: NaiveDate) {
        while let Some(entry) = self.exports.first_entry().filter(|entry| *entry.key() < today) {
            let (day, export) = entry.remove_entry();
            let place = day.signed_duration_since(NaiveDate::default()).num_days() as u64;
            if export.dispatched > 0 {
                row!(self.sheets, "processed_3pl_files", {
                    id: self.id("processed_3pl_files", place),
                    file_name: format!("dispatch_{}.csv", day.format("%Y%m%d")),
                    file_hash: self.draws.token("processed_3pl_files.hash", place),
                    processed_at: self.until.min(super::calendar::in_britain(day, 18, 5)),
                    record_count: export.dispatched,
                    source: "sftp",
                });
            }
            let Some(sent) = export.sent else { continue };
            row!(self.sheets, "export_outbox", {
                id: self.id("export_outbox", place),
                batch_id: format!("EXP-{}", day.format("%Y%m%d")),
                csv_data: json!({"columns": ["order", "sku", "quantity"], "rows": export.lines}),
                order_ids: export.orders,
                status: "confirmed",
                attempts: 1,
                last_attempt_at: sent,
                created_at: sent - Duration::seconds(30),
                sent_at: self.until.min(sent),
                confirmed_at: self.past(sent + Duration::minutes(5)),
            });
        }
    }
}
