//! Subscriptions, their billing, and the mails about it.

use chrono::{DateTime, Datelike, Duration, Utc};
use rand::RngExt;
use serde_json::json;

use super::book::{Book, attempt_id, seal_id, shopify_customer, shopify_order};
use super::calendar::{in_britain, next};
use super::draws::Theme;
use super::life::{DUNNING_DAYS, REFUSALS, Standing, Subscription};
use super::placed::Billed;
use super::sale::Sale;
use super::sheet::{Pounds, row};
use super::story::Change;
use crate::shopify::order::{DELIVERY, FREE_DELIVERY};
use crate::shopify::people::pick;

/// Days that the log of successful payments is kept.
pub const KEPT: i64 = 90;
/// The days of dunning mails.
const DUNNING: [(i64, &str); 4] =
    [(0, "payment_failed_day0"), (3, "payment_failed_day3"), (7, "payment_failed_day7"), (DUNNING_DAYS, "payment_failed_day10")];

impl Book<'_> {
    /// A subscription, as it stands in the end.
    pub fn subscribed(&mut self, number: u64) {
        let held = self.subscription(number).clone();
        let person = self.person(held.customer);
        let mut random = self.stream(Theme::Mail, number);
        let lines = held.lines(self.draws);
        let products = crate::shopify::catalogue();
        let is_active = held.standing == Standing::Active;
        let failing = held.failing.filter(|_| held.standing != Standing::Paused);
        let dunned = failing.map_or(-1, |failing| (self.until - failing.since).num_days());
        let sent = |day| dunned >= day;
        let reminded =
            |days: i64| Some(held.next - Duration::days(days)).filter(|at| is_active && *at <= self.until && held.failing.is_none());
        let interval = format!("{} week", held.weeks);
        let since = |standing| (held.standing == standing).then_some(held.since);
        row!(self.sheets, "subscriptions", {
            id: self.id("subscriptions", number),
            customer_id: self.id("customers", held.customer),
            shopify_subscription_id: (25_000_000_000 + number).to_string(),
            seal_subscription_id: seal_id(number).to_string(),
            status: word(held.standing),
            frequency_weeks: held.weeks,
            price_gbp: Pounds(price(&held, self)),
            next_billing_date: is_active.then(|| held.next.date_naive()),
            created_at: held.began,
            updated_at: held.since.max(held.failed_at.unwrap_or(held.since)),
            paused_at: since(Standing::Paused),
            cancelled_at: since(Standing::Cancelled),
            box_size: super::dogs::box_size(lines.iter().map(|line| line.quantity * 18).sum()),
            shipping_address: format!("{}, {}, {}", person.address.line1, person.address.city, person.address.zip),
            email: person.email,
            card_brand: pick(&mut random, &["visa", "visa", "mastercard", "amex"]),
            card_last_digits: format!("{:04}", random.random_range(0..10_000)),
            card_expiry_month: random.random_range(1..13),
            card_expiry_year: self.until.year() + random.random_range(0..4),
            payment_status: match failing { None => "healthy", Some(_) if is_active => "failing", Some(_) => "failed" },
            failed_payment_count: i32::from(failing.is_some()),
            last_failed_at: held.failed_at,
            dunning_started_at: failing.map(|failing| failing.since),
            last_synced_at: self.until - Duration::minutes(random.random_range(1..600)),
            reminder_7day_sent_at: reminded(7),
            reminder_48hour_sent_at: reminded(2),
            dunning_email_day0_sent: sent(0),
            dunning_email_day3_sent: sent(3),
            dunning_email_day7_sent: sent(7),
            dunning_email_day10_sent: sent(DUNNING_DAYS),
            last_error_message: failing.map(|failing| REFUSALS[failing.reason].1),
            pause_reason: since(Standing::Paused).map(|_| pick(&mut random, &["holiday", "freezer is full", "trying another food"])),
            shopify_customer_id: shopify_customer(held.customer),
            delivery_interval: &interval,
            billing_interval: &interval,
            variant_id: lines.first().and_then(|line| line.product).unwrap_or(products[0]).variant_id(),
            currency: "GBP",
            subscription_created_at: held.began,
        });
        self.told(&held, 0, "subscription.created", None, Some("active"), held.began);
        if is_active && held.failing.is_none() {
            let coming = Billed { number, cycle: held.cycle, weeks: held.weeks, failed_since: None };
            self.attempt(&held, coming, "scheduled", held.next, None);
        }
    }

    /// A subscription was skipped, paused, resumed or cancelled.
    pub fn change(&mut self, number: u64, cycle: u32, change: Change, at: DateTime<Utc>) {
        let held = self.subscription(number).clone();
        let (kind, before, after, action) = match change {
            Change::Skipped => ("billing_attempt.skipped", "active", "active", Some("skip")),
            Change::Paused => ("subscription.paused", "active", "paused", Some("pause")),
            Change::Resumed => ("subscription.resumed", "paused", "active", Some("resume")),
            Change::Cancelled { unpaid: false } => ("subscription.cancelled", "active", "cancelled", Some("cancel")),
            Change::Cancelled { unpaid: true } => ("subscription.cancelled", "active", "cancelled", None),
        };
        self.told(&held, cycle * 4 + 1 + u32::from(change == Change::Resumed), kind, Some(before), Some(after), at);
        self.seal_webhook(&held, cycle * 4 + 1 + u32::from(change == Change::Resumed), kind, after, at);
        let Some(action) = action else { return };
        row!(self.sheets, "subscription_actions", {
            id: self.id("subscription_actions", (number << 14) | u64::from(cycle * 4 + u32::from(change == Change::Resumed))),
            customer_id: self.id("customers", held.customer),
            subscription_id: self.id("subscriptions", number),
            action_type: action,
            action_data: json!({"billing_cycle": cycle}),
            source: "portal",
            created_at: at,
            seal_synced: true,
            email_sent: true,
        });
    }

    /// A card was refused.
    pub fn refused(&mut self, number: u64, cycle: u32, reason: usize, at: DateTime<Utc>) {
        let held = self.subscription(number).clone();
        let billed = Billed { number, cycle, weeks: held.weeks, failed_since: Some(at) };
        let (code, words) = REFUSALS[reason];
        // The attempt that succeeds later is the same one, written with its order.
        if held.cycle == cycle {
            self.attempt(&held, billed, "failed", at, Some(reason));
        }
        self.told(&held, cycle * 4 + 3, "billing_attempt.failed", Some("active"), Some("active"), at);
        self.seal_webhook(&held, cycle * 4 + 3, "billing_attempt.failed", "active", at);
        row!(self.sheets, "payment_events", {
            id: self.id("payment_events", (number << 14) | u64::from(cycle * 2)),
            customer_id: self.id("customers", held.customer),
            order_id: None::<uuid::Uuid>,
            subscription_id: self.id("subscriptions", number),
            event_type: "payment_failed",
            failure_reason: words,
            attempt_number: 1,
            amount_pence: price(&held, self),
            event_metadata: json!({"error_code": code, "seal_billing_attempt_id": attempt_id(billed)}),
            created_at: at,
        });
        let Some(turned) = self.dunning_until(&held, cycle, at) else { return };
        for (day, mail) in DUNNING {
            let moment = at + Duration::days(day);
            let moment = if day == 0 { moment } else { in_britain(moment.date_naive(), 9, 30) };
            if moment < turned {
                self.mailed(&held, mail, at, moment);
            }
        }
    }

    /// When dunning stopped or the history ends; none when it never began.
    fn dunning_until(&self, held: &Subscription, cycle: u32, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match held.turn_at(self.draws, cycle) {
            super::life::Turn::Fails { days, .. } => Some(self.until.min(at + Duration::days(days) + Duration::hours(3))),
            _ => None,
        }
    }

    fn mailed(&mut self, held: &Subscription, kind: &str, billed: DateTime<Utc>, at: DateTime<Utc>) {
        row!(self.sheets, "email_events", {
            id: self.id(kind, (held.number << 20) | (billed.timestamp() as u64 / 86_400)),
            customer_id: self.id("customers", held.customer),
            subscription_id: self.id("subscriptions", held.number),
            event_type: kind,
            billing_date: billed.date_naive(),
            sent_at: at,
        });
    }

    /// The payment of an order that a subscription made.
    pub fn payment(&mut self, sale: &Sale<'_>) {
        let Some(billed) = sale.placed.subscription else { return };
        let held = self.subscription(billed.number).clone();
        let at = sale.placed.at;
        if billed.cycle > 0 {
            self.attempt_for(&held, billed, "success", at, None, Some(sale));
            let reminder = in_britain(next((at - Duration::days(8)).date_naive()), 9, 0);
            if self.is_recent(at, KEPT) && billed.failed_since.is_none() && reminder > held.began {
                self.mailed(&held, "delivery_reminder_7day", at, reminder);
            }
        }
        let is_kept = self.is_recent(at, KEPT);
        if billed.cycle > 0 && is_kept {
            self.told(&held, billed.cycle * 4 + 4, "billing_attempt.success", Some("active"), Some("active"), at);
            self.seal_webhook(&held, billed.cycle * 4 + 4, "billing_attempt.success", "active", at);
        }
        if sale.paid().is_some() && (is_kept || billed.failed_since.is_some()) {
            row!(self.sheets, "payment_events", {
                id: self.id("payment_events", (billed.number << 14) | u64::from(billed.cycle * 2 + 1)),
                customer_id: sale.customer,
                order_id: Some(sale.id),
                subscription_id: self.id("subscriptions", billed.number),
                event_type: if billed.failed_since.is_some() { "payment_recovered" } else { "payment_succeeded" },
                failure_reason: None::<&str>,
                attempt_number: 1 + billed.failed_since.map_or(0, |since| (at - since).num_days()),
                amount_pence: sale.totals.total,
                event_metadata: json!({}),
                created_at: at,
            });
        }
    }

    fn attempt(&mut self, held: &Subscription, billed: Billed, status: &str, at: DateTime<Utc>, reason: Option<usize>) {
        self.attempt_for(held, billed, status, at, reason, None);
    }

    fn attempt_for(
        &mut self,
        held: &Subscription,
        billed: Billed,
        status: &str,
        at: DateTime<Utc>,
        reason: Option<usize>,
        sale: Option<&Sale<'_>>,
    ) {
        let tried = (status != "scheduled").then_some(at);
        let scheduled = billed.failed_since.unwrap_or(at);
        let retries = match (status, sale) {
            (_, Some(_)) => (at - scheduled).num_days(),
            ("failed", _) => (self.until - at).num_days().min(3),
            _ => 0,
        };
        let created = held.began.max(scheduled - Duration::days(65));
        row!(self.sheets, "billing_attempts", {
            id: self.id("billing_attempts", (billed.number << 14) | u64::from(billed.cycle)),
            subscription_id: self.id("subscriptions", held.number),
            seal_subscription_id: seal_id(held.number).to_string(),
            seal_billing_attempt_id: attempt_id(billed).to_string(),
            customer_id: self.id("customers", held.customer),
            scheduled_at: scheduled,
            attempted_at: tried,
            completed_at: sale.map(|_| at),
            status: status,
            shopify_order_id: sale.map(|sale| shopify_order(sale.placed.number).to_string()),
            order_id: sale.map(|sale| sale.id),
            error_code: reason.map(|reason| REFUSALS[reason].0),
            error_message: reason.map(|reason| REFUSALS[reason].1),
            retry_count: retries,
            requires_authentication: reason == Some(3),
            amount_pence: sale.map_or_else(|| price(held, self), |sale| sale.totals.total),
            currency: "GBP",
            is_retry: retries > 0,
            created_at: created,
            updated_at: tried.unwrap_or(created),
        });
    }

    fn told(&mut self, held: &Subscription, place: u32, kind: &str, before: Option<&str>, after: Option<&str>, at: DateTime<Utc>) {
        row!(self.sheets, "subscription_events", {
            id: self.id("subscription_events", (held.number << 14) | u64::from(place)),
            subscription_id: self.id("subscriptions", held.number),
            seal_subscription_id: seal_id(held.number).to_string(),
            customer_id: self.id("customers", held.customer),
            event_type: kind,
            event_source: "seal",
            old_status: before,
            new_status: after,
            payload: json!({}),
            event_at: at,
            created_at: self.until.min(at + Duration::seconds(2)),
        });
    }
}

/// What a box costs, in pence.
fn price(held: &Subscription, book: &Book<'_>) -> i64 {
    let items: i64 = held.lines(book.draws).iter().map(|line| line.price * line.quantity).sum();
    items + if items >= FREE_DELIVERY { 0 } else { DELIVERY }
}

/// A standing as the database spells it.
pub const fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Active => "active",
        Standing::Paused => "paused",
        Standing::Cancelled => "cancelled",
    }
}
