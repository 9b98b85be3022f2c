//! The dogs, and what the feeding calculator says they are to eat.

use chrono::{DateTime, Duration, Utc};
use rand::RngExt;
use rand::rngs::StdRng;

use super::book::Book;
use super::sheet::{Thousandths, row};
use crate::shopify::order::DOGS;
use crate::shopify::people::{Person, pick};

/// A dog, and what it is to eat.
pub struct Dog {
    /// Its name.
    pub name: &'static str,
    /// Its weight in grams.
    pub grams: i64,
    /// The stage of its life.
    pub stage: &'static str,
    /// How much it runs.
    pub activity: &'static str,
    /// Whether it is neutered.
    pub is_neutered: bool,
    /// Its energy at rest and in a day, in kilocalories.
    pub rest_kcal: i64,
    /// See `rest_kcal`.
    pub daily_kcal: i64,
    /// Food a day, in grams.
    pub daily_grams: i64,
}

/// Kilocalories of a kilogram of food.
const KCAL_PER_KG: i64 = 1_650;

impl Dog {
    /// Draws the dog of a household.
    pub fn draw(random: &mut StdRng, household: u64) -> Self {
        let stage = pick(random, &["adult", "adult", "adult", "puppy", "senior"]);
        let activity = pick(random, &["low", "moderate", "moderate", "high"]);
        let grams = random.random_range(3_000..42_000);
        let metabolic = (grams as f64 / 1_000.0).powf(0.75);
        let factor = match (stage, activity) {
            ("puppy", _) => 175.0,
            (_, "low") => 95.0,
            ("senior", _) => 98.0,
            (_, "high") => 125.0,
            _ => 110.0,
        };
        let daily_kcal = (factor * metabolic) as i64;
        Self {
            name: name(household),
            grams,
            stage,
            activity,
            is_neutered: random.random_bool(0.7),
            rest_kcal: (70.0 * metabolic) as i64,
            daily_kcal,
            daily_grams: daily_kcal * 1_000 / KCAL_PER_KG / 10 * 10,
        }
    }
}

/// What the dog of a household is called.
pub const fn name(household: u64) -> &'static str {
    DOGS[(household % DOGS.len() as u64) as usize]
}

/// The box that holds four weeks of food.
pub const fn box_size(daily_grams: i64) -> &'static str {
    match daily_grams * 28 {
        ..8_000 => "8kg",
        8_000..12_000 => "12kg",
        _ => "16kg",
    }
}

impl Book<'_> {
    /// What a customer's dog is to eat.
    pub fn feeding_plan(&mut self, number: u64, dog: &Dog, at: DateTime<Utc>) {
        row!(self.sheets, "feeding_plans", {
            id: self.draws.id("feeding_plans", number),
            customer_id: self.draws.id("customers", number),
            dog_name: dog.name,
            dog_weight_kg: Thousandths(dog.grams),
            life_stage: dog.stage,
            activity_level: dog.activity,
            is_neutered: dog.is_neutered,
            body_condition: "ideal",
            daily_grams: dog.daily_grams,
            daily_kcal: dog.daily_kcal,
            box_size: box_size(dog.daily_grams),
            created_at: at,
            updated_at: at,
        });
    }

    /// A household that used the feeding calculator: the one that ordered, or one that did not.
    pub fn calculation(&mut self, number: u64, buyer: Option<(&Person, DateTime<Utc>)>, dog: &Dog, diet: &str, random: &mut StdRng) {
        let place = number * 2 + u64::from(buyer.is_none());
        let asked = self.customer(number).since - Duration::minutes(random.random_range(2..90));
        let monthly = dog.daily_grams * 30 * 950 / 1_000;
        let id = self.id("calculator_discounts", place);
        let email = buyer.map(|(person, _)| person.email.clone());
        row!(self.sheets, "calculator_discounts", {
            id: id,
            token: self.draws.token("calculator_discounts.token", place),
            box_size: box_size(dog.daily_grams),
            daily_grams: dog.daily_grams,
            delivery_weeks: 4,
            regular_price: monthly,
            discounted_price: monthly * 9 / 10,
            used: buyer.is_some(),
            used_at: buyer.map(|(_, at)| at),
            email: email.clone().or_else(|| random.random_bool(0.5).then(|| format!("visitor.{place}@example.org"))),
            address_line_1: buyer.map(|(person, _)| person.address.line1.clone()),
            discount_code: "WELCOME10",
            created_at: asked,
            expires_at: asked + Duration::hours(72),
            postcode: buyer.map(|(person, _)| person.address.zip.clone()),
            pet_count: 1,
            household_total_gbp: monthly / 100,
            household_daily_grams: dog.daily_grams,
            dog_name: dog.name,
            abandonment_sent_at: buyer.is_none().then_some(asked + Duration::hours(24)).and_then(|at| self.past(at)),
            calculated_mer: dog.daily_kcal,
            previous_diet: diet,
        });
        row!(self.sheets, "calculator_pets", {
            id: self.draws.id("calculator_pets", place),
            discount_id: id,
            pet_number: 1,
            pet_name: dog.name,
            life_stage: dog.stage,
            weight_kg: Thousandths(dog.grams),
            age_range: match dog.stage { "puppy" => "under 1", "senior" => "over 7", _ => "1 to 7" },
            neutered: dog.is_neutered,
            activity_level: dog.activity,
            body_condition: "ideal",
            calculated_rer: dog.rest_kcal,
            calculated_mer: dog.daily_kcal,
            daily_grams: dog.daily_grams,
            monthly_price_gbp: monthly / 100,
            created_at: asked,
        });
        if let Some((person, at)) = buyer {
            row!(self.sheets, "calculator_discount_usage", {
                id: self.draws.id("calculator_discount_usage", place),
                email: person.email.to_lowercase(),
                address_line_1: person.address.line1.to_lowercase(),
                used_at: at,
            });
        }
    }
}
