//! Customers, their visits, and how they fare.

use chrono::{DateTime, Duration, Utc};
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::json;

use super::book::{Book, address_json, browser, ip_address, shopify_customer};
use super::dogs::Dog;
use super::draws::Theme;
use super::life::Standing;
use super::sheet::row;
use crate::shopify::people::{Person, address, pick};

impl Book<'_> {
    /// Somebody became a customer.
    pub fn joined(&mut self, number: u64, at: DateTime<Utc>) {
        let person = self.person(number);
        let mut random = self.stream(Theme::Visit, number);
        let id = self.id("customers", number);
        let diet = pick(&mut random, &["kibble", "kibble", "wet", "raw", "mixed"]);
        let subscribed = self.customer(number).subscription.is_some();
        let visited = subscribed.then(|| at + Duration::minutes(random.random_range(3..20_000))).and_then(|at| self.past(at));
        row!(self.sheets, "customers", {
            id: id,
            shopify_customer_id: shopify_customer(number).to_string(),
            email: person.email,
            first_name: person.first,
            last_name: person.last,
            phone: person.phone,
            address_json: address_json(&person),
            marketing_opt_in: random.random_bool(0.6),
            created_at: at,
            address1: person.address.line1,
            address2: person.address.line2,
            city: person.address.city,
            region: person.address.province,
            postcode: person.address.zip,
            country_code: "GB",
            portal_first_visited_at: visited,
            persona: pick(&mut random, &["new_to_raw", "experienced", "health_driven", "convenience"]),
            acquisition_diet: diet,
        });
        let dog = Dog::draw(&mut random, number);
        if subscribed {
            self.feeding_plan(number, &dog, at);
            self.calculation(number, Some((&person, at)), &dog, diet, &mut random);
            self.referral_code(number, &person, at);
        }
        if random.random_bool(0.2) {
            // Somebody else calculated and did not order.
            let other = Dog::draw(&mut random, number + 1);
            self.calculation(number, None, &other, "kibble", &mut random);
        }
        if let Some(visited) = visited {
            self.visits(number, visited, &mut random);
        }
        if random.random_bool(0.02) {
            self.moved(number, &person, at, &mut random);
        }
        self.health(number, at, &mut random);
    }

    fn visits(&mut self, number: u64, first: DateTime<Utc>, random: &mut StdRng) {
        let customer = self.id("customers", number);
        let mut at = first;
        for visit in 0..random.random_range(1..4_u64) {
            let place = number * 4 + visit;
            let (device, agent) = browser(random);
            let address = ip_address(random);
            if self.is_recent(at, 30) {
                row!(self.sheets, "portal_sessions", {
                    id: self.draws.id("portal_sessions", place),
                    customer_id: customer,
                    token: self.draws.token("portal_sessions.token", place),
                    created_at: at,
                    expires_at: at + Duration::days(7),
                    last_accessed_at: at,
                    ip_address: address,
                    user_agent: agent,
                });
            }
            let Some(seen) = self.past(at) else { break };
            row!(self.sheets, "customer_engagement_events", {
                id: self.draws.id("customer_engagement_events", place),
                customer_id: customer,
                event_type: pick(random, &["portal_login", "portal_login", "proof_scan", "email_open"]),
                event_source: "portal",
                event_metadata: json!({"device": device}),
                created_at: seen,
            });
            at += Duration::minutes(random.random_range(1_000..90_000));
        }
    }

    fn moved(&mut self, number: u64, person: &Person, joined: DateTime<Utc>, random: &mut StdRng) {
        let Some(at) = self.past(joined + Duration::minutes(random.random_range(9_000..300_000))) else { return };
        // The customer's row has the new address.
        let before = Person { address: address(random), ..person.clone() };
        let synced = self.past(at + Duration::seconds(4));
        row!(self.sheets, "address_changes", {
            id: self.draws.id("address_changes", number),
            created_at: at,
            customer_id: self.draws.id("customers", number),
            changed_by: "customer",
            old_address: address_json(&before),
            new_address: address_json(person),
            source: "portal",
            shopify_state: if synced.is_some() { "synced" } else { "pending" },
            seal_state: if synced.is_some() { "synced" } else { "pending" },
            shopify_synced: synced.is_some(),
            shopify_synced_at: synced,
            seal_synced: synced.is_some(),
            seal_synced_at: synced,
            reason: "moved house",
        });
    }

    /// How the customer fares in the end.
    fn health(&mut self, number: u64, since: DateTime<Utc>, random: &mut StdRng) {
        let customer = self.customer(number).clone();
        let subscription = customer.subscription.map(|number| self.subscription(number));
        let (failures, skips) = subscription.map_or((0, 0), |held| (held.failures, held.skips));
        let is_failing = subscription.is_some_and(|held| held.failing.is_some());
        let has_left = subscription.is_some_and(|held| held.standing == Standing::Cancelled);
        let age = (self.until - since).num_days();
        let less = |count: u32, each: i64| 100 - (i64::from(count) * each).min(100);
        let parts = [
            less(customer.troubles, 30),
            if has_left { 20 } else { random.random_range(40..100) },
            less(customer.tickets, 15),
            if is_failing { 10 } else { less(failures, 20) },
            (40 + age / 4).min(100),
            less(skips, 25),
        ];
        let score = parts.iter().sum::<i64>() / parts.len() as i64;
        let before = (score + random.random_range(-6..7)).clamp(0, 100);
        let counted = self.until - Duration::minutes(random.random_range(0..720));
        row!(self.sheets, "customer_health_scores", {
            id: self.draws.id("customer_health_scores", number),
            customer_id: self.draws.id("customers", number),
            health_score: score,
            risk_tier: tier(score),
            previous_score: before,
            previous_tier: tier(before),
            score_delta: score - before,
            tier_changed: tier(score) != tier(before),
            delivery_score: parts[0],
            engagement_score: parts[1],
            support_score: parts[2],
            payment_score: parts[3],
            tenure_score: parts[4],
            skip_score: parts[5],
            delivery_issues_count: customer.troubles,
            skipped_boxes_count: skips,
            support_tickets_count: customer.tickets,
            payment_failures_count: failures,
            subscription_age_days: subscription.map(|_| age),
            total_orders_delivered: customer.delivered,
            lifetime_value_pence: customer.spent,
            calculated_at: counted,
            calculation_version: "1.0",
            created_at: since,
            updated_at: counted,
        });
        if score < 60 {
            row!(self.sheets, "customer_interventions", {
                id: self.draws.id("customer_interventions", number),
                customer_id: self.draws.id("customers", number),
                intervention_type: if is_failing { "payment_call" } else { "check_in_email" },
                trigger_component: if is_failing { "payment" } else { "engagement" },
                trigger_value: if is_failing { parts[3] } else { parts[1] },
                created_at: counted,
            });
        }
    }
}

const fn tier(score: i64) -> &'static str {
    match score {
        75.. => "healthy",
        60..75 => "watch",
        40..60 => "at_risk",
        _ => "critical",
    }
}
