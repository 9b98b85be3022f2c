//! Money beside the orders: refunds, referrals, and credit with its use.

use chrono::{DateTime, Duration, Utc};
use serde_json::json;
use uuid::Uuid;

use super::book::{Book, shopify_order};
use super::favour::{Cause, Credit, REWARD};
use super::placed::Fate;
use super::sale::Sale;
use super::sheet::{Pounds, row};
use crate::shopify::people::Person;

impl Book<'_> {
    /// Everything about the money of an order.
    pub fn money(&mut self, sale: &Sale<'_>, person: &Person) {
        while let Some(credit) = self.ending.credits.get(self.credited).copied().filter(|credit| credit.order == sale.placed.number) {
            self.credit(self.first + self.credited as u64, &credit);
            self.credited += 1;
        }
        self.referral(sale, person);
        self.application(sale);
        self.full_refund(sale);
    }

    /// The code by which a customer recommends us.
    pub fn referral_code(&mut self, number: u64, person: &Person, at: DateTime<Utc>) {
        let customer = self.customer(number).clone();
        row!(self.sheets, "referral_codes", {
            id: self.id("referral_codes", number),
            customer_id: self.id("customers", number),
            slug: self.slug(number),
            display_name: person.first,
            total_referrals: customer.friends,
            successful_referrals: customer.rewards,
            total_rewards_earned_pence: i64::from(customer.rewards) * REWARD,
            is_active: true,
            created_at: at,
            updated_at: at,
        });
    }

    /// The word of a customer's code: eight letters that nobody guesses from another.
    pub fn slug(&self, number: u64) -> String {
        let mut token = self.draws.token("referral_codes.slug", number);
        token.truncate(10);
        format!("raw-{token}")
    }

    fn referral(&mut self, sale: &Sale<'_>, person: &Person) {
        let Some(friend) = sale.placed.friend else { return };
        let number = sale.placed.number;
        let (id, code) = (self.id("referrals", number), self.id("referral_codes", friend));
        let arrived = sale.placed.journey().and_then(|journey| self.past(journey.arrived));
        let reward = self.ending.credits.iter().position(|credit| credit.order == number && credit.cause == Cause::Referral);
        let credit = reward.map(|place| self.id("customer_credits", self.first + place as u64));
        row!(self.sheets, "referrals", {
            id: id,
            referral_code_id: code,
            referrer_customer_id: self.id("customers", friend),
            referee_customer_id: sale.customer,
            referee_email: person.email.to_lowercase(),
            referee_first_delivery_at: arrived,
            status: if credit.is_some() { "rewarded" } else if sale.cancelled.is_some() { "rejected" } else { "pending" },
            fraud_checked_at: self.past(sale.placed.at + Duration::seconds(25)),
            created_at: sale.placed.at,
            confirmed_at: arrived,
            rewarded_at: arrived,
            updated_at: arrived.unwrap_or(sale.placed.at),
            credit_id: credit,
        });
        self.late.referred.push((id, sale.id));
        for (place, kind, at) in [(0, "referral_created", Some(sale.placed.at)), (1, "reward_issued", arrived.filter(|_| credit.is_some()))]
        {
            let Some(at) = at else { continue };
            row!(self.sheets, "referral_events", {
                id: self.id("referral_events", number * 2 + place),
                event_type: kind,
                referral_id: id,
                referral_code_id: code,
                order_id: sale.id,
                customer_id: self.id("customers", friend),
                created_at: at,
            });
        }
    }

    fn credit(&mut self, place: u64, credit: &Credit) {
        let used = credit.used.map_or(0, |(_, pence, _)| pence);
        let left = credit.pence - used;
        let has_expired = left > 0 && credit.expires() <= self.until;
        let (kind, table, words) = match credit.cause {
            Cause::Referral => ("referral", "referrals", "A friend's first order"),
            Cause::Goodwill => ("goodwill", "support_tickets", "A box that came late"),
        };
        let id = self.id("customer_credits", place);
        let customer = self.id("customers", credit.customer);
        row!(self.sheets, "customer_credits", {
            id: id,
            customer_id: customer,
            amount_pence: credit.pence,
            remaining_pence: left,
            source_type: kind,
            source_id: self.id(table, credit.order),
            source_description: words,
            status: if has_expired { "expired" } else if left == 0 { "exhausted" } else { "available" },
            expires_at: credit.expires(),
            expiry_warning_sent_at: Some(credit.expires() - Duration::days(30)).filter(|at| left > 0 && *at <= self.until),
            created_at: credit.given,
            updated_at: credit.used.map_or(credit.given, |(_, _, at)| at),
        });
        self.credit_event(place * 4, "credit_granted", (id, customer), None, credit.given, credit.pence);
        if has_expired {
            self.credit_event(place * 4 + 1, "credit_expired", (id, customer), None, credit.expires(), left);
        }
    }

    fn application(&mut self, sale: &Sale<'_>) {
        let Some((place, pence)) = sale.placed.credit else { return };
        let place = self.first + place as u64;
        let (credit, id) = (self.id("customer_credits", place), self.id("customer_credit_applications", place));
        let at = self.until.min(sale.placed.at + Duration::seconds(10));
        row!(self.sheets, "customer_credit_applications", {
            id: id,
            credit_id: credit,
            order_id: sale.id,
            customer_id: sale.customer,
            amount_applied_pence: pence,
            status: "applied",
            applied_at: at,
        });
        self.credit_event(place * 4 + 2, "credit_applied", (credit, sale.customer), Some((sale.id, id)), at, pence);
    }

    fn credit_event(
        &mut self,
        place: u64,
        kind: &str,
        (credit, customer): (Uuid, Uuid),
        applied: Option<(Uuid, Uuid)>,
        at: DateTime<Utc>,
        pence: i64,
    ) {
        row!(self.sheets, "customer_credit_events", {
            id: self.id("customer_credit_events", place),
            event_type: kind,
            credit_id: credit,
            customer_id: customer,
            order_id: applied.map(|(order, _)| order),
            application_id: applied.map(|(_, application)| application),
            payload: json!({"amount_pence": pence}),
            created_at: at,
        });
    }

    fn full_refund(&mut self, sale: &Sale<'_>) {
        let (at, reason) = match (sale.placed.fate, sale.cancelled, sale.refunded) {
            (Fate::Cancelled, Some(at), _) => (at, "cancelled by the customer"),
            (Fate::Returned(_), _, Some(at)) => (at, "returned to sender"),
            (_, _, Some(at)) => (at, "quality"),
            _ => return,
        };
        self.refund(sale, sale.totals.total, "full", reason, at, None);
    }

    /// Money back for an order, or for a part of it.
    pub fn refund(&mut self, sale: &Sale<'_>, pence: i64, kind: &str, reason: &str, at: DateTime<Utc>, ticket: Option<Uuid>) {
        let number = sale.placed.number;
        let place = number * 2 + u64::from(kind == "partial");
        row!(self.sheets, "refunds", {
            id: self.id("refunds", place),
            created_at: at,
            order_id: sale.id,
            customer_id: sale.customer,
            support_ticket_id: ticket,
            shopify_refund_id: (6_000_000_000_000 + place).to_string(),
            amount_gbp: Pounds(pence),
            refund_type: kind,
            reason: reason,
            processed_by: "support@protocolraw.example",
            processed_at: at,
            status: "processed",
            customer_notified: true,
            shopify_order_id: shopify_order(number).to_string(),
            shopify_synced: true,
            shopify_synced_at: at,
        });
    }
}
