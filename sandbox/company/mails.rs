//! Mails about orders, what starts campaigns, and chats before an order.

use chrono::{DateTime, Duration, Utc};
use rand::RngExt;
use serde_json::json;

use super::book::{Book, browser, order_label};
use super::draws::Theme;
use super::sale::Sale;
use super::sheet::{Thousandths, row};
use super::shipments::tracking_no;
use crate::shopify::people::{Person, pick};

/// Days that sent mails are kept.
const KEPT: i64 = 60;

impl Book<'_> {
    /// The mails about an order.
    pub fn mails(&mut self, sale: &Sale<'_>, person: &Person) {
        let placed = sale.placed;
        let confirmation = if placed.is_first { "order_confirmation_first" } else { "order_confirmation_repeat" };
        let journey = sale.journey.as_ref();
        let delivered = journey.filter(|_| !sale.placed.is_returned()).map(|journey| journey.arrived);
        let trouble = journey.and_then(|journey| journey.trouble).map(|(_, at)| at);
        let mails = [
            (confirmation, sale.paid()),
            ("order_dispatched", journey.map(|journey| journey.dispatched)),
            ("delivery_exception", trouble),
            ("order_delivered", delivered),
        ];
        for (place, (template, at)) in mails.into_iter().enumerate() {
            if let Some(at) = at.filter(|at| self.is_recent(*at, KEPT)) {
                self.mail(sale, person, place as u64, template, at);
            }
        }
        if let Some(at) = delivered.filter(|_| placed.is_first) {
            let guides = [("transition_guide", 1), ("transition_week_1", 7), ("transition_week_2", 14)];
            for (place, (name, days)) in guides.into_iter().enumerate() {
                self.lifecycle(sale, person, place as u64, name, at, at + Duration::days(days));
            }
        }
        if placed.is_first && placed.number.is_multiple_of(6) {
            self.chat(sale, person);
        }
    }

    fn mail(&mut self, sale: &Sale<'_>, person: &Person, place: u64, template: &str, at: DateTime<Utc>) {
        let number = sale.placed.number;
        let sent = self.past(at + Duration::seconds(4 + (number % 50) as i64)).unwrap_or(at);
        let place = number * 4 + place;
        row!(self.sheets, "outbox", {
            id: self.id("outbox", place),
            created_at: at,
            target: "customerio",
            event_type: template,
            payload_json: json!({
                "to": person.email,
                "transactional_message_id": template,
                "message_data": {"order": format!("#{}", order_label(number)), "tracking_no": tracking_no(number)},
            }),
            state: "sent",
            attempts: 1,
            first_sent_at: sent,
            last_sent_at: sent,
            kind: "email",
            updated_at: sent,
            idempotency_key: format!("{template}:{}", sale.id),
            delivery_id: self.draws.token("outbox.delivery", place),
        });
    }

    fn lifecycle(&mut self, sale: &Sale<'_>, person: &Person, place: u64, name: &str, made: DateTime<Utc>, due: DateTime<Utc>) {
        let processed = due + Duration::seconds(30);
        // Those that are due later are left to the pipeline: a row that waits belongs to a job.
        if !self.is_recent(processed, KEPT) {
            return;
        }
        let place = sale.placed.number * 4 + place;
        row!(self.sheets, "lifecycle_events", {
            id: self.id("lifecycle_events", place),
            event_name: name,
            idempotency_key: format!("{name}:{}", sale.customer),
            customer_id: sale.customer,
            customer_email: person.email,
            event_data: json!({"first_name": person.first}),
            status: "processed",
            attempts: 1,
            created_at: made,
            scheduled_for: due,
            processed_at: processed,
            customerio_delivery_id: self.draws.token("lifecycle_events.delivery", place),
            source_table: "orders",
            source_id: sale.id,
        });
    }

    /// Somebody asked before the first order.
    fn chat(&mut self, sale: &Sale<'_>, person: &Person) {
        let number = sale.placed.number;
        let mut random = self.stream(Theme::Visit, number);
        let session = self.id("chat_sessions", number);
        let began = sale.placed.at - Duration::minutes(random.random_range(10..600));
        let (device, _) = browser(&mut random);
        let (question, answer) = pick(
            &mut random,
            &[
                (
                    "Is it safe to feed puppies?",
                    "Yes: the puppy recipe is complete for growth. The calculator gives the amount for each week.",
                ),
                ("Do you deliver to the Highlands?", "We do, with more coolant. Boxes to the north take up to two days."),
                ("Can I stop when I like?", "You can skip, pause or cancel in the portal at any time until 48 hours before a delivery."),
            ],
        );
        row!(self.sheets, "chat_sessions", {
            id: session,
            visitor_id: self.draws.token("chat_sessions.visitor", number),
            visitor_email: person.email,
            customer_id: sale.customer,
            started_at: began,
            last_message_at: began + Duration::minutes(2),
            ended_at: began + Duration::minutes(4),
            entry_page: pick(&mut random, &["/", "/pages/calculator", "/collections/all"]),
            device_type: device,
            status: "ended",
            message_count: 2,
            ai_message_count: 1,
            created_at: began,
            updated_at: began + Duration::minutes(4),
        });
        for (place, (role, content)) in [("visitor", question), ("assistant", answer)].into_iter().enumerate() {
            let is_answer = role == "assistant";
            row!(self.sheets, "chat_messages", {
                id: self.id("chat_messages", number * 2 + place as u64),
                session_id: session,
                role: role,
                content: content,
                ai_confidence: is_answer.then_some(Thousandths(910)),
                ai_model: is_answer.then_some(super::agent::MODEL),
                tokens_used: is_answer.then_some(640),
                response_time_ms: is_answer.then_some(1_850),
                created_at: began + Duration::minutes(2 * place as i64),
            });
        }
    }
}
