//! Support: tickets with their conversations, drafts, surveys and praise.

use chrono::{DateTime, Duration, Utc};
use rand::RngExt;
use uuid::Uuid;

use super::book::{Book, order_label};
use super::draws::Theme;
use super::sale::Sale;
use super::sheet::{Thousandths, row};
use super::ticket::{Action, Ticket, Topic};
use crate::shopify::people::{Person, pick};

const TEAM: [&str; 3] = ["mia@protocolraw.example", "tom@protocolraw.example", "ruth@protocolraw.example"];

/// A ticket with what its rows share.
pub struct Case<'a> {
    /// The ticket.
    pub ticket: Ticket,
    /// What it is about.
    pub topic: &'static Topic,
    /// Its row.
    pub id: Uuid,
    /// The number of its order.
    pub number: u64,
    /// Its order.
    pub sale: &'a Sale<'a>,
    /// Who wrote.
    pub person: &'a Person,
    /// Who answers.
    pub agent: &'static str,
    /// When a draft was there.
    pub drafted: DateTime<Utc>,
    /// When we answered, if we did.
    pub answered: Option<DateTime<Utc>>,
    /// When it was put away, if it was.
    pub resolved: Option<DateTime<Utc>>,
    /// Its subject.
    pub subject: String,
    /// How sure the agent was, in thousandths.
    pub confidence: i64,
}

impl Book<'_> {
    /// The ticket about an order, if there is one.
    pub fn ticket(&mut self, sale: &Sale<'_>, person: &Person) {
        let Some(ticket) = Ticket::about(self.draws, sale.placed).filter(|ticket| ticket.opened <= self.until) else { return };
        let number = sale.placed.number;
        let mut random = self.stream(Theme::Chat, number);
        let topic = ticket.about_what();
        let case = Case {
            id: self.id("support_tickets", number),
            drafted: self.until.min(ticket.opened + Duration::seconds(random.random_range(9..40))),
            answered: self.past(ticket.answered),
            resolved: self.past(ticket.resolved),
            subject: format!("{} (order #{})", topic.subject, order_label(number)),
            agent: pick(&mut random, &TEAM),
            confidence: if ticket.is_escalated { random.random_range(380..700) } else { random.random_range(720..985) },
            ticket,
            topic,
            number,
            sale,
            person,
        };
        self.support_ticket(&case);
        self.conversation(&case);
        self.drafting(&case);
        self.consequences(&case);
        self.survey(&case);
    }

    fn support_ticket(&mut self, case: &Case<'_>) {
        let (ticket, topic) = (&case.ticket, case.topic);
        let status = match (case.answered, case.resolved) {
            (_, Some(at)) if at < self.until - Duration::days(14) => "closed",
            (_, Some(_)) => "resolved",
            (Some(_), None) => "awaiting_customer",
            (None, None) if ticket.is_escalated => "escalated",
            _ => "pending",
        };
        let batch = case.sale.taken.first().filter(|_| topic.category == "quality").map(|taken| self.ending.batches[taken.batch].code());
        let survey = case.resolved.map(|at| at + Duration::hours(24));
        row!(self.sheets, "support_tickets", {
            id: case.id,
            customer_id: case.sale.customer,
            customer_email: case.person.email,
            source: "email",
            subject: case.subject,
            body: topic.body,
            ai_category: topic.category,
            ai_confidence: Thousandths(case.confidence),
            ai_draft_response: topic.reply,
            ai_escalation_reason: ticket.is_escalated.then_some("low_confidence"),
            status: status,
            final_response: case.answered.map(|_| topic.reply),
            resolution_action: case.resolved.map(|_| word(topic.action)),
            resolved_by: case.resolved.map(|_| case.agent),
            related_batch_code: batch,
            related_order_id: case.sale.id,
            created_at: ticket.opened,
            ai_processed_at: case.drafted,
            human_reviewed_at: case.answered,
            resolved_at: case.resolved,
            response_sent_at: case.answered,
            approved_by: case.answered.map(|_| case.agent),
            approved_at: case.answered,
            response_channel: case.answered.map(|_| "email"),
            original_draft: topic.reply,
            is_pre_purchase: false,
            assigned_to: ticket.is_escalated.then_some(case.agent),
            human_edited: false,
            edit_distance: case.answered.map(|_| 0),
            first_viewed_at: case.answered.map(|at| ticket.opened.max(at - Duration::minutes(7))),
            reply_count: i32::from(case.answered.is_some()),
            last_customer_reply_at: ticket.opened,
            resolution_type: case.resolved.map(|_| word(topic.action)),
            resolution_category: case.resolved.map(|_| topic.category),
            draft_usage: case.answered.map(|_| "as_is"),
            last_response_at: case.answered,
            email_message_id: message_id(case.number, "in"),
            csat_survey_scheduled_for: survey,
            csat_survey_sent_at: survey.and_then(|at| self.past(at)),
            csat_survey_token: survey.map(|_| self.draws.token("support_tickets.survey", case.number)),
        });
    }

    fn conversation(&mut self, case: &Case<'_>) {
        let letters = [
            Some((0, "inbound", case.person.email.as_str(), case.topic.body, case.ticket.opened, None)),
            case.answered.map(|at| (1, "outbound", case.agent, case.topic.reply, at, Some(self.draws.token("deliveries", case.number)))),
        ];
        for (place, direction, sender, body, at, delivery) in letters.into_iter().flatten() {
            row!(self.sheets, "ticket_messages", {
                id: self.id("ticket_messages", case.number * 2 + place),
                ticket_id: case.id,
                direction: direction,
                sender: sender,
                subject: if place == 0 { case.subject.clone() } else { format!("Re: {}", case.subject) },
                body: body,
                delivery_id: delivery,
                created_at: at,
                email_message_id: (place == 0).then(|| message_id(case.number, "in")),
            });
        }
        if !case.ticket.is_escalated {
            return;
        }
        row!(self.sheets, "ticket_notes", {
            id: self.id("ticket_notes", case.number),
            ticket_id: case.id,
            note_type: "internal",
            content: "The agent was not sure: please read the whole thread before you answer.",
            created_by: "cs-agent-triage",
            created_at: case.drafted,
        });
        row!(self.sheets, "escalation_queue", {
            id: self.id("escalation_queue", case.number),
            created_at: case.drafted,
            ticket_id: case.id,
            reason: "low_confidence",
            urgency: if case.topic.category == "quality" { "high" } else { "normal" },
            agent_recommendation: case.topic.reply,
            queued_at: case.drafted,
            processed_at: case.answered,
            holding_response_sent: false,
        });
    }

    fn consequences(&mut self, case: &Case<'_>) {
        let Some(at) = case.answered else { return };
        let sale = case.sale;
        match case.topic.action {
            Action::Refund if sale.refunded.is_none() && !matches!(sale.placed.fate, super::placed::Fate::Refunded(_)) => {
                let pence = (sale.totals.total / 4).max(1);
                self.refund(sale, pence, "partial", "quality", at, Some(case.id));
            }
            Action::Replacement => {
                let is_new = case.resolved.is_none();
                row!(self.sheets, "replacement_requests", {
                    id: self.id("replacement_requests", case.number),
                    created_at: at,
                    ticket_id: case.id,
                    customer_id: sale.customer,
                    original_order_id: sale.id,
                    reason: "damaged in transit",
                    status: if is_new { "pending" } else { "approved" },
                    reviewed_at: case.resolved,
                    reviewed_by: case.resolved.map(|_| case.agent),
                });
            }
            Action::Testimonial => {
                row!(self.sheets, "testimonials", {
                    id: self.id("testimonials", case.number),
                    customer_id: sale.customer,
                    source_ticket_id: case.id,
                    source_type: "email_reply",
                    original_text: case.topic.body,
                    approved_quote: case.resolved.map(|_| case.topic.body),
                    display_city: case.person.address.city,
                    status: if case.resolved.is_some() { "approved" } else { "requested" },
                    flagged_at: case.drafted,
                    flagged_by: "cs-agent-triage",
                    request_sent_at: at,
                    approved_at: case.resolved,
                    approval_method: case.resolved.map(|_| "email"),
                    is_featured: case.resolved.is_some() && case.number.is_multiple_of(3),
                    created_at: case.drafted,
                    updated_at: case.resolved.unwrap_or(at),
                });
            }
            _ => {}
        }
    }

    fn survey(&mut self, case: &Case<'_>) {
        let Some(stars) = case.ticket.stars else { return };
        let Some(at) = case.resolved.map(|at| at + Duration::hours(31)).and_then(|at| self.past(at)) else { return };
        row!(self.sheets, "csat_responses", {
            id: self.id("csat_responses", case.number),
            ticket_id: case.id,
            customer_id: case.sale.customer,
            rating: stars,
            comment: match stars { 5 => Some("Quick and kind"), 2 => Some("I had to ask twice"), _ => None },
            submitted_at: at,
            submitted_from: "email_link",
        });
    }
}

/// The Message-ID of a mail about an order.
pub fn message_id(number: u64, way: &str) -> String {
    format!("{way}.{number}@mail.example.org")
}

/// An action as the database spells it.
pub const fn word(action: Action) -> &'static str {
    match action {
        Action::Answer => "answered",
        Action::Credit => "credit",
        Action::Refund => "refund",
        Action::Replacement => "replacement",
        Action::Address => "address_change",
        Action::Testimonial => "thanked",
    }
}
