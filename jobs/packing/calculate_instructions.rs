//! Say how one order's boxes are packed on a day.
//!
//! order, rules, places -> the way -> the weather on it -> an instruction; or a wait for another day; or an exception for a person
//!
//! Started by  packing.plan_pack_day, a child an order
//! Unique by   order: its instruction
//! Retried     as the policy says; when the order's food or address changed meanwhile, with what it is now
//! Rejected    when the rules cannot be read
//!
//! The weather is asked twice more when it is not to be had. After that the rules' assumption for the month holds, and the
//! instruction says so: a parcel waits for its coolant, and the day for nobody. For a minute then others do not ask either.

use std::time::Duration;

use chrono::NaiveDate;
use engine::{Category, Failure, Job, JobResult, Outcome, Run};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    areas,
    calendar::{Calendar, UnknownYear},
    decide::{Instruction, Weather, days_of, decide},
    destination::{Destination, destination},
    facts::Facts,
    rules::Rules,
};
use crate::clients::{
    Outside,
    forecast::{Forecast, Place, Warmest},
    http::CallError,
};

/// Attempts that ask for the weather before it is assumed.
const ASKED: i32 = 3;
/// The longest pause before it is asked again that is granted to it.
const LONGEST_PAUSE: Duration = Duration::from_mins(2);
/// Countries whose postcodes are British, as documents spell them.
const COUNTRIES: [&str; 8] = ["", "GB", "UK", "UNITED KINGDOM", "GREAT BRITAIN", "JE", "GG", "IM"];

/// Says how the boxes of this order are packed.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
pub struct CalculateInstructions {
    /// The order, in `raw_ops.orders`.
    pub order_id: Uuid,
    /// The day on which they are packed.
    #[schemars(with = "String")]
    pub pack_day: NaiveDate,
}

/// What came of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Came {
    /// It has an instruction now.
    Calculated {
        /// Whether its weather is assumed.
        assumed: bool,
    },
    /// It had one.
    Known,
    /// Nothing of it is to be packed any more.
    Closed,
    /// It leaves on a later day.
    Waiting {
        /// The first day that will do.
        until: Option<NaiveDate>,
    },
    /// It cannot be packed.
    Held {
        /// Why.
        reason: String,
    },
}

/// A way that is possible.
struct Way {
    destination: Destination,
    place: Place,
    arrival: NaiveDate,
}

/// A weather to decide by.
struct Sky {
    weather: Weather,
    /// Of the forecast, in seconds.
    age: Option<f64>,
}

impl Job for CalculateInstructions {
    const KIND: &'static str = "packing.calculate_instructions";
    const QUEUE: &'static str = "packing";
    const PRIORITY: i16 = 3;

    fn schema() -> Value {
        schema_for!(Self).into()
    }

    async fn run(&self, run: &mut Run) -> JobResult {
        let Some(facts) = Facts::of(run, self.order_id).await? else { return self.settle(run, Came::Closed).await };
        let way = match self.way(&facts)? {
            Ok(way) => way,
            Err(came) => return self.settle(run, came).await,
        };
        let sky = match self.sky(run, &facts.rules, &way).await? {
            Ok(sky) => sky,
            Err(pause) => return Ok(Outcome::Snooze(pause)),
        };
        let grams = u32::try_from(facts.parcel.food_grams).unwrap_or(u32::MAX);
        match decide(grams, &way.destination, &sky.weather, &facts.rules) {
            Ok(made) => self.put(run, &facts, &way, &sky, &made).await,
            Err(reason) => self.settle(run, Came::Held { reason }).await,
        }
    }
}

impl CalculateInstructions {
    /// The way of the parcel, or what comes of an order that has none on this day.
    fn way(&self, facts: &Facts) -> JobResult<Result<Way, Came>> {
        let held = |reason: String| Ok(Err(Came::Held { reason }));
        let country = facts.parcel.country.as_deref().unwrap_or_default().trim().to_uppercase();
        if !COUNTRIES.contains(&country.as_str()) {
            return held("it goes abroad".into());
        }
        let found = facts.postcode.as_ref().and_then(|postcode| Some((postcode, areas::place(postcode.area())?)));
        let Some((postcode, place)) = found else { return held("its address has no British postcode".into()) };
        let destination = match destination(postcode, &facts.places, self.pack_day) {
            Ok(destination) => destination,
            Err(reason) => return held(reason),
        };
        let hours = destination.transit_hours.unwrap_or(facts.rules.usual_transit_hours);
        if let Err(reason) = facts.rules.risk_of_way(hours) {
            return held(reason);
        }
        let days = days_of(hours);
        let calendar = Calendar::new(facts.rules.days.clone());
        let unknown = |error: UnknownYear| Failure::validation(error.to_string());
        match calendar.arrival(self.pack_day, days).map_err(unknown)? {
            Some(arrival) => Ok(Ok(Way { destination, place, arrival })),
            None => Ok(Err(Came::Waiting { until: calendar.next_departure(self.pack_day, days).map_err(unknown)? })),
        }
    }

    /// The weather on the way, where the boxes are packed and where they go; or how long to wait before it is asked again.
    async fn sky(&self, run: &Run, rules: &Rules, way: &Way) -> JobResult<Result<Sky, Duration>> {
        let assumed = |why: &str| {
            let warmest = [self.pack_day, way.arrival].map(|day| rules.assumed_tenths(day)).into_iter().max();
            Ok(Ok(Sky { weather: Weather::Assumed(warmest.unwrap_or_default(), why.to_owned()), age: None }))
        };
        let forecast = &run.shared::<Outside>()?.forecast;
        if !forecast.is_configured() {
            return assumed("no forecast is configured");
        }
        let origin = areas::place(&rules.packed_in).unwrap_or(way.place);
        match warmest(forecast, [origin, way.place], self.pack_day, way.arrival, run).await {
            Ok(warmest) => Ok(Ok(Sky { weather: Weather::Forecast(warmest.tenths), age: Some(warmest.age.as_secs_f64()) })),
            Err((place, error)) => {
                let passes = !matches!(error.category, Category::Auth | Category::Validation)
                    && !forecast.is_given_up(place, self.pack_day, way.arrival);
                let pause = error.retry_after.unwrap_or_else(|| forecast.pause());
                if passes && run.attempt() < ASKED && pause <= LONGEST_PAUSE {
                    return Ok(Err(pause));
                }
                forecast.give_up(place, self.pack_day, way.arrival);
                tracing::warn!(job.id = %run.job_id(), order.id = %self.order_id, %error, "the weather is assumed");
                assumed("no forecast was to be had")
            }
        }
    }

    async fn put(&self, run: &Run, facts: &Facts, way: &Way, sky: &Sky, made: &Instruction) -> JobResult {
        let (Weather::Forecast(tenths) | Weather::Assumed(tenths, _)) = sky.weather;
        let document = json!({
            "food_grams": facts.parcel.food_grams, "postcode": facts.parcel.postcode, "country": facts.parcel.country,
            "box_size": made.box_size, "insulation": made.insulation,
            "coolant_grams": made.coolant_grams, "packs": made.packs, "ambient": f64::from(tenths) / 10.0,
            "transit_hours": made.transit_hours, "risk": made.risk.as_str(), "logger": made.logger,
            "notes": Some(made.notes.join(" ")).filter(|notes| !notes.is_empty()), "version": facts.version,
            "pack_on": self.pack_day, "deliver_on": way.arrival, "total_grams": made.total_grams,
        });
        let mut tx = run.begin().await?;
        let word: String = sqlx::query_scalar("select raw_ops.put_packing_instruction($1, $2, make_interval(secs => $3))")
            .bind(self.order_id)
            .bind(document)
            .bind(sky.age)
            .fetch_one(&mut *tx)
            .await?;
        let came = match word.as_str() {
            "calculated" => Came::Calculated { assumed: matches!(sky.weather, Weather::Assumed(..)) },
            "known" => Came::Known,
            "closed" => Came::Closed,
            _ => {
                let order = self.order_id;
                return Err(Failure::conflict(format!("the food or the address of order {order} changed while its instruction was made")));
            }
        };
        run.complete_in(tx, serde_json::to_value(came)?).await
    }

    /// Completes without an instruction; what a person must see to is written down in the same commit.
    async fn settle(&self, run: &Run, came: Came) -> JobResult {
        let mut tx = run.begin().await?;
        if let Came::Held { reason } = &came {
            sqlx::query("select raw_ops.hold_parcel($1, $2)").bind(self.order_id).bind(reason).execute(&mut *tx).await?;
        }
        run.complete_in(tx, serde_json::to_value(came)?).await
    }
}

/// The warmest of two places, with the age of the older answer; or the place that none was to be had of.
async fn warmest(
    forecast: &Forecast,
    [origin, destination]: [Place; 2],
    from: NaiveDate,
    until: NaiveDate,
    run: &Run,
) -> Result<Warmest, (Place, CallError)> {
    let here = forecast.warmest(origin, from, until, run).await.map_err(|error| (origin, error))?;
    let there = forecast.warmest(destination, from, until, run).await.map_err(|error| (destination, error))?;
    Ok(Warmest { tenths: here.tenths.max(there.tenths), age: here.age.max(there.age) })
}
