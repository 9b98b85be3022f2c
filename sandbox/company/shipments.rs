//! Boxes: how they are packed, how they travel, how cold they stay.

use chrono::{DateTime, Duration, Timelike, Utc};
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::json;

use super::book::{Book, address_json, shopify_order};
use super::draws::Theme;
use super::placed::Journey;
use super::sale::Sale;
use super::sheet::{Pounds, Thousandths, row};
use crate::shopify::people::{Person, pick};

/// Code, our word, what the carrier says, and whether the customer is told.
pub const SCANS: [(&str, &str, &str, bool); 9] = [
    ("LATE", "EXCEPTION", "Delayed at the hub", true),
    ("CARD", "EXCEPTION", "Nobody was at home", true),
    ("ADDR", "EXCEPTION", "The address could not be found", true),
    ("RTS", "RETURNED", "On the way back to the sender", true),
    ("000", "PRE_ADVICE", "We have your order details", false),
    ("009", "IN_TRANSIT", "In transit", false),
    ("004", "AT_HUB", "Your parcel is at the hub", false),
    ("015", "OUT_FOR_DELIVERY", "Your parcel is out for delivery", false),
    ("001", "DELIVERED", "Your parcel has been delivered", false),
];
const PRE_ADVICE: usize = 4;
const IN_TRANSIT: usize = 5;
const HUB: usize = 6;
const VAN: usize = 7;
const DELIVERED: usize = 8;
const RETURNED: usize = 3;

impl Book<'_> {
    /// The shipment of a box that has left, with its scans.
    pub fn shipment(&mut self, sale: &Sale<'_>, person: &Person) {
        let Some(journey) = sale.dispatched(self.until).copied() else { return };
        let number = sale.placed.number;
        let mut random = self.stream(Theme::Watch, number);
        let delivered = self.past(journey.arrived).filter(|_| !sale.placed.is_returned());
        let coolant = coolant(&journey);
        let batch = sale.taken.first().filter(|first| sale.taken.iter().all(|taken| taken.batch == first.batch));
        let status = self.shipment_status(sale, &journey);
        if status == "DISPATCHED" {
            self.late.dispatched.push(sale.shipment);
        }
        row!(self.sheets, "shipments", {
            id: sale.shipment,
            order_id: sale.id,
            batch_id: batch.map(|taken| self.id("batches", self.first + taken.batch as u64)),
            courier: "DPD",
            tracking_no: tracking_no(number),
            status: if status == "DISPATCHED" { "CREATED" } else { status },
            dispatched_at: journey.dispatched,
            delivered_at: delivered,
            address_json: address_json(person),
            created_at: journey.packed,
            courier_cost_gbp: Pounds(612 + sale.grams() / 100),
            packaging_cost_gbp: Pounds(185),
            coolant_cost_gbp: Pounds(45 * coolant),
            service: "Next Day",
            dispatch_temp_recorded: Thousandths(-random.random_range(16_200..20_500) / 100 * 100),
            coolant_units_used: coolant,
            courier_temp_compliance: match delivered { None => "PENDING", Some(_) if journey.trouble.is_some() => "UNKNOWN", Some(_) => "COMPLIANT" },
        });
        for (place, taken) in sale.taken.iter().enumerate() {
            row!(self.sheets, "stock_dispatches", {
                allocation_id: self.id("allocations", number * 64 + place as u64),
                shipment_id: sale.shipment,
                qty: taken.units,
                dispatched_at: journey.dispatched,
            });
        }
        self.scans(sale, &journey, person);
        self.exception(sale, &journey);
        if let Some(at) = delivered.filter(|_| number.is_multiple_of(40)) {
            self.logged(sale, &journey, at, &mut random);
        }
        self.import(sale, &journey);
    }

    fn shipment_status(&self, sale: &Sale<'_>, journey: &Journey) -> &'static str {
        let has_come = |at: DateTime<Utc>| at <= self.until;
        match journey.trouble {
            _ if has_come(journey.arrived) => {
                if sale.placed.is_returned() {
                    "RETURNED"
                } else {
                    "DELIVERED"
                }
            }
            Some((_, at)) if has_come(at) && (!has_come(journey.van) || journey.van < at) => "EXCEPTION",
            _ if has_come(journey.van) => "OUT_FOR_DELIVERY",
            _ if has_come(journey.hub) => "IN_TRANSIT",
            _ => "DISPATCHED",
        }
    }

    fn scans(&mut self, sale: &Sale<'_>, journey: &Journey, person: &Person) {
        let end = if sale.placed.is_returned() { RETURNED } else { DELIVERED };
        let trouble = journey.trouble.filter(|(kind, _)| *kind != RETURNED);
        let path = [
            Some((PRE_ADVICE, journey.packed)),
            Some((IN_TRANSIT, journey.dispatched)),
            Some((HUB, journey.hub)),
            trouble,
            Some((VAN, journey.van)),
            Some((end, journey.arrived)),
        ];
        for (place, (scan, at)) in path.into_iter().flatten().enumerate() {
            let Some(at) = self.past(at) else { continue };
            let (code, word, text, is_told) = SCANS[scan];
            let told = is_told.then_some(at + Duration::minutes(2)).and_then(|at| self.past(at));
            let raw = self.is_recent(at, 7).then(|| {
                json!({"eventCode": code, "eventText": text, "eventLocation": if scan == DELIVERED { person.address.city } else { "Hub 3" }})
            });
            row!(self.sheets, "courier_events", {
                id: self.id("courier_events", sale.placed.number * 8 + place as u64),
                shipment_id: sale.shipment,
                event_code: code,
                event_text: text,
                event_time: at,
                raw_payload: raw,
                event_type: word,
                requires_customer_notification: is_told,
                customer_notified_at: told,
                notification_channel: told.map(|_| "email"),
                created_at: self.until.min(at + Duration::seconds(20)),
            });
        }
    }

    fn exception(&mut self, sale: &Sale<'_>, journey: &Journey) {
        let Some((scan, at)) = journey.trouble.filter(|(_, at)| *at <= self.until) else { return };
        let resolved = self.past(journey.arrived);
        row!(self.sheets, "exceptions_queue", {
            id: self.id("exceptions_queue", sale.placed.number),
            order_id: sale.id,
            shipment_id: sale.shipment,
            issue_type: "courier_exception",
            issue_description: SCANS[scan].2,
            raw_data: json!({"event_code": SCANS[scan].0, "tracking_no": tracking_no(sale.placed.number)}),
            resolved: resolved.is_some(),
            resolved_at: resolved,
            resolved_by: resolved.map(|_| "system"),
            created_at: at,
        });
    }

    /// A box with a logger inside: one reading a quarter of an hour.
    fn logged(&mut self, sale: &Sale<'_>, journey: &Journey, arrived: DateTime<Utc>, random: &mut StdRng) {
        let hours = (arrived - journey.packed).num_minutes() as f64 / 60.0;
        let mut readings = Vec::new();
        let mut at = journey.packed;
        while at < arrived {
            let warmed = (at - journey.packed).num_minutes() as f64 / 60.0 * 0.18;
            let noise: f64 = random.random_range(-0.3..0.3);
            readings.push(json!({"t": at.to_rfc3339(), "c": ((-18.4 + warmed + noise) * 10.0).round() / 10.0}));
            at += Duration::minutes(15);
        }
        let celsius: Vec<f64> = readings.iter().filter_map(|reading| reading["c"].as_f64()).collect();
        let milli = |value: f64| Thousandths((value * 1_000.0).round() as i64);
        let (coldest, warmest) = celsius.iter().fold((0.0, -99.0), |(low, high): (f64, f64), value| (low.min(*value), high.max(*value)));
        let is_cold = warmest < -5.0;
        row!(self.sheets, "temperature_logger_data", {
            order_id: sale.id,
            shipment_id: sale.shipment,
            logger_id: format!("LOG-{:04}", sale.placed.number / 40 % 120),
            logger_type: "USB",
            min_temp_c: milli(coldest),
            max_temp_c: milli(warmest),
            avg_temp_c: milli(celsius.iter().sum::<f64>() / celsius.len().max(1) as f64),
            time_above_5c_minutes: 0,
            time_above_10c_minutes: 0,
            trip_start_at: journey.packed,
            trip_end_at: arrived,
            trip_duration_hours: milli(hours),
            cold_chain_intact: is_cold,
            breach_detected: !is_cold,
            data_uploaded_at: arrived,
            data_source: "returned logger",
            created_at: arrived,
            readings: serde_json::Value::Array(readings),
        });
        row!(self.sheets, "temperature_audits", {
            id: self.id("temperature_audits", sale.placed.number),
            shipment_id: sale.shipment,
            arrival_core_celsius: milli(warmest),
            arrival_corner_celsius: milli(warmest + 1.5),
            pass_class: if is_cold { "PASS" } else { "FAIL" },
            created_at: arrived,
        });
    }

    /// How a box is to be packed, and how it was.
    pub fn packing(&mut self, sale: &Sale<'_>) {
        let Some(journey) = sale.journey.filter(|journey| journey.exported <= self.until) else { return };
        let number = sale.placed.number;
        let mut random = self.stream(Theme::Batch, number);
        let instruction = self.known.instructions[self.packed];
        self.packed += 1;
        let (summer, coolant) = (is_warm(&journey), coolant(&journey));
        let ambient = random.random_range(4..17) + if summer { 11 } else { 0 };
        row!(self.sheets, "packing_instructions", {
            id: instruction,
            order_id: sale.id,
            shopify_order_id: shopify_order(number).to_string(),
            box_size: match sale.grams() { ..4_000 => "small", 4_000..9_000 => "medium", _ => "large" },
            insulation_type: "Wool",
            pcm_mass_kg: Thousandths(coolant * 500),
            pcm_packs_count: coolant,
            ambient_forecast_max: ambient,
            transit_hours_expected: 24,
            forecast_retrieved_at: journey.exported,
            risk_level: if ambient > 22 { "HIGH" } else if ambient > 14 { "MEDIUM" } else { "LOW" },
            logger_required: number.is_multiple_of(40),
            created_at: journey.exported,
            calculated_by: "automated",
            calculation_version: "1.0",
            batch_id: sale.taken.first().map(|taken| self.id("batches", self.first + taken.batch as u64)),
        });
        let Some(packed) = self.past(journey.packed) else { return };
        let expected = sale.grams() + coolant * 500 + 850;
        let actual = expected + random.random_range(-60..90);
        let seconds = random.random_range(95..420);
        row!(self.sheets, "pack_quality_checks", {
            order_id: sale.id,
            packing_instruction_id: instruction,
            shopify_order_id: shopify_order(number).to_string(),
            expected_total_weight_kg: Thousandths(expected),
            actual_weight_kg: Thousandths(actual),
            weight_variance_kg: Thousandths(actual - expected),
            weight_variance_pct: Thousandths((actual - expected) * 100_000 / expected),
            pack_started_at: packed - Duration::seconds(seconds),
            pack_completed_at: packed,
            pack_time_seconds: seconds,
            logger_activated: number.is_multiple_of(40),
            void_fill_complete: true,
            visual_check_pass: true,
            packed_by: pick(&mut random, &["Packer 1", "Packer 2", "Packer 3", "Packer 4"]),
            packed_at: packed,
            created_at: packed,
        });
    }
}

/// The carrier's number of an order's box: 14 digits.
pub fn tracking_no(number: u64) -> String {
    format!("1550{number:010}")
}

fn is_warm(journey: &Journey) -> bool {
    use chrono::Datelike;
    (5..=9).contains(&journey.packed.month())
}

/// Packs of coolant: more in the warm months.
fn coolant(journey: &Journey) -> i64 {
    let spare = i64::from(journey.packed.hour() < 10);
    spare + if is_warm(journey) { 4 } else { 2 }
}
