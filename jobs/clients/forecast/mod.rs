//! The weather forecast, by the contract of Open-Meteo: the warmest hour of some days at a place.
//!
//! What was asked once is remembered for a while, because the parcels of a day go to few places; that it was given up, for a
//! minute, so that not each of a thousand parcels waits for a service that is away. An answer that cannot be read,
//! or lacks a day, is an error like any other: nobody guesses a temperature here.

mod settings;

pub use settings::Settings;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::NaiveDate;
use engine::{Category, Run};
use serde::Deserialize;
use tokio::time::Instant;

use super::{
    OutsideError,
    http::{Call, CallError, Client, Method, Reached},
};

/// Its name, in messages.
const SYSTEM: &str = "Open-Meteo";
/// How long a call may take: packers wait.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller should wait before it asks again, where the service does not say.
const PAUSE: Duration = Duration::from_secs(20);
/// The largest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 64 << 10;
/// How long an answer holds. Its models run every hour.
const HOLDS: Duration = Duration::from_hours(1);
/// How long a question that was given up is not asked again.
const RESTS: Duration = Duration::from_mins(1);
/// Answers that are remembered at most.
const MOST_KNOWN: usize = 1_000;
/// Degrees Celsius that a place in Europe can have.
const BELIEVABLE: std::ops::RangeInclusive<f64> = -60.0..=60.0;

/// A place, in tenths of a degree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// North of the equator.
    pub latitude: i16,
    /// East of Greenwich.
    pub longitude: i16,
}

/// The warmest hour of some days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warmest {
    /// In tenths of a degree Celsius.
    pub tenths: i16,
    /// How long ago it was asked.
    pub age: Duration,
}

/// What was asked: a place, the first day and the last.
type Question = (Place, NaiveDate, NaiveDate);
/// What was answered: tenths of a degree, and when; none where it was given up.
type Known = HashMap<Question, (Option<i16>, Instant)>;

/// What is remembered of a question.
enum Memory {
    Answer(Warmest),
    GivenUp,
    Nothing,
}

/// Asks for forecasts; a clone shares its connections and its memory.
#[derive(Clone)]
pub struct Forecast {
    account: Option<(Client, Settings)>,
    known: Arc<Mutex<Known>>,
}

#[derive(Deserialize)]
struct Envelope {
    daily_units: Units,
    daily: Days,
}

#[derive(Deserialize)]
struct Units {
    temperature_2m_max: String,
}

#[derive(Deserialize)]
struct Days {
    time: Vec<NaiveDate>,
    temperature_2m_max: Vec<Option<f64>>,
}

impl Forecast {
    /// A client with these settings; without a key or an address nothing is called.
    ///
    /// # Errors
    /// An address that is none, or TLS that cannot be set up.
    pub fn new(settings: &Settings) -> Result<Self, OutsideError> {
        let secrets = settings.key.iter().map(|key| key.text().to_owned());
        let client = settings.target()?.map(|target| Client::new(target, secrets)).transpose()?;
        Ok(Self { account: client.map(|client| (client, settings.clone())), known: Arc::default() })
    }

    /// Whether there is anybody to ask.
    pub const fn is_configured(&self) -> bool {
        self.account.is_some()
    }

    /// How long a caller should wait before it asks again, where the service does not say.
    pub fn pause(&self) -> Duration {
        self.account.as_ref().and_then(|(_, settings)| settings.pause).unwrap_or(PAUSE)
    }

    /// The warmest hour at a place from one day to another, both included, by British days.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn warmest(&self, place: Place, from: NaiveDate, until: NaiveDate, run: &Run) -> Result<Warmest, CallError> {
        let question = (place, from, until);
        match self.recall(&question) {
            Memory::Answer(warmest) => return Ok(warmest),
            Memory::GivenUp => return Err(CallError::new(SYSTEM, Reached::Nothing, Category::Upstream, "it was given up a moment ago")),
            Memory::Nothing => {}
        }
        let missing = || CallError::new(SYSTEM, Reached::Nothing, Category::Auth, "FORECAST_API_KEY is not set, so nothing was asked");
        let (client, settings) = self.account.as_ref().ok_or_else(missing)?;
        let answer = client.send(&call(question, settings).on_behalf_of(run)).await?;
        let unreadable = |words: &str| {
            let words = format!("its answer cannot be used: {words}");
            client.error(Reached::Answered(answer.status), Category::Upstream, words)
        };
        let envelope: Envelope = answer.json().map_err(|error| unreadable(&error.to_string()))?;
        let tenths = warmest_of(&envelope, from, until).map_err(|words| unreadable(&words))?;
        self.remember(question, Some(tenths));
        Ok(Warmest { tenths, age: Duration::ZERO })
    }

    /// Has nobody ask this again for a minute.
    pub fn give_up(&self, place: Place, from: NaiveDate, until: NaiveDate) {
        let question = (place, from, until);
        // The minute counts from the first of those who give it up at once, and an answer that another had stays.
        if matches!(self.recall(&question), Memory::Nothing) {
            self.remember(question, None);
        }
    }

    /// Whether this was given up in the last minute.
    pub fn is_given_up(&self, place: Place, from: NaiveDate, until: NaiveDate) -> bool {
        matches!(self.recall(&(place, from, until)), Memory::GivenUp)
    }

    fn recall(&self, question: &Question) -> Memory {
        match self.memory().get(question) {
            Some((Some(tenths), at)) if at.elapsed() < HOLDS => Memory::Answer(Warmest { tenths: *tenths, age: at.elapsed() }),
            Some((None, at)) if at.elapsed() < RESTS => Memory::GivenUp,
            _ => Memory::Nothing,
        }
    }

    fn remember(&self, question: Question, tenths: Option<i16>) {
        let mut known = self.memory();
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(question, (tenths, Instant::now()));
    }

    fn memory(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn call((place, from, until): Question, settings: &Settings) -> Call {
    let degrees = |tenths: i16| format!("{:.1}", f64::from(tenths) / 10.0);
    let call = Call::new(Method::Get, ["v1", "forecast"])
        .query("latitude", degrees(place.latitude))
        .query("longitude", degrees(place.longitude))
        .query("daily", "temperature_2m_max")
        .query("timezone", "Europe/London")
        .query("start_date", from.to_string())
        .query("end_date", until.to_string())
        .timeout(settings.timeout.unwrap_or(TIMEOUT))
        .answer_limit(ANSWER_LIMIT);
    match &settings.key {
        Some(key) => call.query("apikey", key.text()),
        None => call,
    }
}

/// In tenths of a degree; an error where a day has no temperature that can be.
fn warmest_of(envelope: &Envelope, from: NaiveDate, until: NaiveDate) -> Result<i16, String> {
    if envelope.daily_units.temperature_2m_max != "°C" {
        return Err("its degrees are not Celsius".into());
    }
    let days = &envelope.daily;
    let mut warmest = i16::MIN;
    for day in from.iter_days().take_while(|day| *day <= until) {
        let place = days.time.iter().position(|known| *known == day);
        let celsius = place.and_then(|place| *days.temperature_2m_max.get(place)?);
        let celsius = celsius.filter(|celsius| BELIEVABLE.contains(celsius)).ok_or_else(|| format!("it has no temperature of {day}"))?;
        // Within the bounds above it is far from those of the type.
        warmest = warmest.max((celsius * 10.0).round() as i16);
    }
    if warmest == i16::MIN { Err("no day was asked".into()) } else { Ok(warmest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<i16, String> {
        let day = |text: &str| text.parse().expect("a date");
        let envelope: Envelope = serde_json::from_str(body).map_err(|error| error.to_string())?;
        warmest_of(&envelope, day("2026-07-01"), day("2026-07-02"))
    }

    fn body(times: &str, celsius: &str) -> String {
        format!(r#"{{ "daily_units": {{ "temperature_2m_max": "°C" }}, "daily": {{ "time": {times}, "temperature_2m_max": {celsius} }} }}"#)
    }

    #[test]
    fn the_warmest_of_the_days_that_were_asked_counts() {
        let days = r#"["2026-06-30", "2026-07-01", "2026-07-02"]"#;
        assert_eq!(read(&body(days, "[40.0, 24.34, 21]")), Ok(243), "the day before was not asked");
        assert_eq!(read(&body(days, "[0, -3.26, -5]")), Ok(-33));
    }

    #[test]
    fn a_day_without_a_temperature_that_can_be_is_no_forecast() {
        let days = r#"["2026-07-01", "2026-07-02"]"#;
        for (times, celsius) in [
            (days, "[20.0, null]"),
            (days, "[20.0]"),
            (days, "[20.0, 1e300]"),
            (days, "[20.0, -273.0]"),
            (r#"["2026-07-01"]"#, "[20.0]"),
            ("[]", "[]"),
        ] {
            assert!(
                read(&body(times, celsius)).is_err_and(|words| words.starts_with("it has no temperature of 2026-07-")),
                "{times} {celsius}"
            );
        }
        assert!(read(&body(days, "[20.0, 20.0]").replace("°C", "°F")).is_err_and(|words| words.contains("Celsius")));
        for nonsense in ["{}", "[]", r#"{ "error": true, "reason": "no" }"#, &body(r#"["yesterday"]"#, "[1.0]")] {
            assert!(read(nonsense).is_err(), "{nonsense}");
        }
    }
}
