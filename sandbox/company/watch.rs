//! What monitors and alerts said in the last days, and the operational log.

use chrono::{Duration, DurationRound};
use rand::RngExt;
use serde_json::json;

use super::book::Book;
use super::draws::Theme;
use super::placed::Placed;
use super::sale::Sale;
use super::sheet::row;
use super::stock::{Movement, Reason};
use crate::shopify::catalogue;

/// Days that runs of monitors are kept.
const RUNS: i64 = 3;
/// Days of the operational log.
const LOG: i64 = 30;
/// Each monitor, and the minutes between its runs.
const MONITORS: [(&str, i64); 7] = [
    ("order_ingestion_slo", 30),
    ("outbox_health", 30),
    ("stock_levels", 60),
    ("lab_sla", 60),
    ("support_queue", 60),
    ("working_capital", 360),
    ("daily_snapshot", 1_440),
];

impl Book<'_> {
    /// The runs of every monitor, and what they made people know.
    pub fn monitors(&mut self) {
        let mut random = self.stream(Theme::Watch, u64::MAX);
        for (monitor, (check, minutes)) in MONITORS.into_iter().enumerate() {
            let step = Duration::minutes(minutes);
            let mut at = (self.until - Duration::days(RUNS)).duration_trunc(step).unwrap_or(self.until);
            let mut place = self.first * 8_192 + monitor as u64 * 1_024;
            while at <= self.until {
                let is_daily = check == "daily_snapshot";
                let alerts = is_daily || (check == "stock_levels" && random.random_bool(0.02));
                let id = self.id("monitoring_runs", place);
                row!(self.sheets, "monitoring_runs", {
                    id: id,
                    check_name: check,
                    run_at: at,
                    duration_ms: random.random_range(4..90),
                    status: "success",
                    result_summary: if alerts && !is_daily { "one product is below its threshold" } else { "healthy" },
                    result_json: json!({"status": if alerts && !is_daily { "warning" } else { "ok" }}),
                    alert_triggered: alerts,
                });
                if alerts {
                    row!(self.sheets, "alert_log", {
                        id: self.id("alert_log", place),
                        sent_at: at,
                        channel: if is_daily { "daily-ops" } else { "ops-alerts" },
                        severity: if is_daily { "info" } else { "warning" },
                        title: if is_daily { "Daily snapshot" } else { "Stock is low" },
                        source_check: check,
                        monitoring_run_id: id,
                        payload_json: json!({"text": if is_daily { "Yesterday's orders, boxes and tickets" } else { "RAW-VENISON-500 is below its threshold" }}),
                        delivery_status: "sent",
                        delivery_response: "ok",
                        idempotency_key: format!("{check}:{}", at.timestamp()),
                    });
                }
                at += step;
                place += 1;
            }
        }
    }

    /// What the log says of an order.
    pub fn log(&mut self, sale: &Sale<'_>) {
        let placed = sale.placed;
        if !self.is_recent(placed.at, LOG) {
            return;
        }
        let label = super::book::order_label(placed.number);
        self.event(sale, 0, "order_created", &format!("Order #{label} from Shopify"), placed);
        if !placed.is_sold() {
            return;
        }
        match (sale.journey, sale.taken.is_empty()) {
            (Some(_), _) => self.event(sale, 1, "allocation_success", &format!("Order #{label} has all of its stock"), placed),
            (None, false) => self.event(sale, 1, "allocation_partial", &format!("Order #{label} has a part of its stock"), placed),
            (None, true) => self.event(sale, 1, "allocation_warning", &format!("Order #{label} waits for stock"), placed),
        }
    }

    fn event(&mut self, sale: &Sale<'_>, place: u64, kind: &str, message: &str, placed: &Placed) {
        row!(self.sheets, "ops_events", {
            id: self.id("ops_events", placed.number * 4 + place),
            entity_type: "ORDER",
            entity_id: sale.id,
            kind: kind,
            message: message,
            created_at: placed.allocated(self.until),
            meta: json!({"status": sale.status}),
            source_system: "shopify",
        });
    }

    /// A release, a recall or a shortage that people were told of.
    pub fn stock_alert(&mut self, sequence: u64, moved: &Movement) {
        let batch = &self.ending.batches[moved.batch];
        let sku = catalogue()[batch.product].sku;
        let (severity, kind, message) = match moved.reason {
            Reason::Recalled => ("critical", "batch_recalled", format!("{} of {sku} was called back", batch.code())),
            Reason::Dispatched if moved.before + moved.change < 10 && moved.before >= 10 => {
                ("warning", "low_stock", format!("{sku} has fewer than 10 units"))
            }
            _ => return,
        };
        let is_open = self.is_recent(moved.at, 1);
        row!(self.sheets, "allocation_alert_history", {
            id: self.id("allocation_alert_history", sequence),
            alert_type: kind,
            severity: severity,
            message: message,
            details: json!({"sku": sku, "units": moved.before + moved.change}),
            resolved_at: (!is_open).then_some(moved.at + Duration::hours(20)),
            created_at: moved.at,
        });
    }
}
