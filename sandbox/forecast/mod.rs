//! Open-Meteo's forecast: the warmest hour of each day at a place, with its words for what it refuses.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::{Datelike, NaiveDate};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::front::{Answer, Asked, Fault, FaultRates, Faults, Front, Limit, System};

/// Days ahead that it knows.
const HORIZON_DAYS: i64 = 16;
/// The usual warmest hour of each month in the south of England, in degrees Celsius.
const USUAL: [f64; 12] = [8.0, 8.5, 11.0, 14.0, 17.5, 20.5, 23.0, 22.5, 19.5, 15.5, 11.0, 8.5];

/// How the service behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The same seed gives the same faults.
    pub seed: u64,
    /// The key that it asks for; none asks for none.
    pub key: Option<String>,
    /// Requests a second that it takes.
    pub per_second: f64,
    /// How many it takes at once before that.
    pub burst: f64,
    /// What goes wrong by chance.
    pub faults: FaultRates,
}

impl Options {
    /// A service without faults, for callers with this key.
    pub fn new(key: Option<&str>) -> Self {
        Self { seed: 1, key: key.map(Into::into), per_second: 100.0, burst: 600.0, faults: FaultRates::default() }
    }
}

/// The service of a sandbox; a clone is the same one.
#[derive(Clone)]
pub struct Forecast {
    service: Arc<Service>,
    url: String,
}

struct Service {
    key: Option<String>,
    limit: Limit,
    faults: Faults,
    weather: Mutex<HashMap<NaiveDate, f64>>,
    answered: AtomicUsize,
}

/// What a caller wants to know.
struct Question {
    latitude: f64,
    longitude: f64,
    from: NaiveDate,
    until: NaiveDate,
}

impl Forecast {
    /// Opens the service on a free port of this machine, until `shutdown`.
    ///
    /// # Errors
    /// When no port is to be had.
    pub async fn start(options: Options, shutdown: CancellationToken) -> io::Result<Self> {
        let service = Arc::new(Service {
            key: options.key,
            limit: Limit::new(options.per_second, options.burst),
            faults: Faults::new(options.seed, options.faults),
            weather: Mutex::default(),
            answered: AtomicUsize::new(0),
        });
        let url = Front::start(Arc::clone(&service), shutdown).await?.url();
        Ok(Self { service, url })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The warmest hour of a day, everywhere.
    pub fn set(&self, day: NaiveDate, celsius: f64) {
        self.service.kept().insert(day, celsius);
    }

    /// How many forecasts it gave.
    pub fn answered(&self) -> usize {
        self.service.answered.load(Ordering::Relaxed)
    }

    /// These faults, one a request.
    pub fn ask(&self, faults: impl IntoIterator<Item = Fault>) {
        self.service.faults.ask(faults);
    }

    /// This fault at each request, until told otherwise.
    pub fn always(&self, fault: Option<Fault>) {
        self.service.faults.always(fault);
    }

    /// How many requests met a fault so far.
    pub fn faults_given(&self) -> u64 {
        self.service.faults.given()
    }

    /// How many faults are still to come; a fault at each request counts as one.
    pub fn faults_left(&self) -> usize {
        self.service.faults.left()
    }
}

impl System for Service {
    fn answer(&self, asked: &Asked) -> Answer {
        let Some(query) = asked.path.strip_prefix("/v1/forecast?").filter(|_| asked.method == "GET") else {
            return refusal(404, "Not Found");
        };
        let query: HashMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        if self.key.is_some() && query.get("apikey").copied() != self.key.as_deref() {
            return refusal(401, "The supplied API key is invalid.");
        }
        if let Err(wait) = self.limit.take() {
            return refusal(429, "Minutely API request limit exceeded. Please try again in one minute.")
                .header("retry-after", wait.as_secs().max(1).to_string());
        }
        match Question::of(&query) {
            Ok(question) => {
                self.answered.fetch_add(1, Ordering::Relaxed);
                Answer::new(200, self.forecast(&question).to_string())
            }
            Err(reason) => refusal(400, reason),
        }
    }

    fn refusal(&self, status: u16) -> Answer {
        refusal(status, "Service unavailable")
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }
}

impl Service {
    fn kept(&self) -> MutexGuard<'_, HashMap<NaiveDate, f64>> {
        self.weather.lock().expect("no holder of this lock panics")
    }

    fn forecast(&self, question: &Question) -> Value {
        let weather = self.kept();
        let days: Vec<NaiveDate> = question.from.iter_days().take_while(|day| *day <= question.until).collect();
        // The north is cooler, by a third of a degree a degree.
        let usual = |day: &NaiveDate| USUAL[day.month0() as usize] - (question.latitude - 51.0) / 3.0;
        let celsius = days.iter().map(|day| (weather.get(day).copied().unwrap_or_else(|| usual(day)) * 10.0).round() / 10.0);
        json!({
            "latitude": question.latitude, "longitude": question.longitude, "generationtime_ms": 0.05,
            "utc_offset_seconds": 0, "timezone": "Europe/London", "timezone_abbreviation": "GMT", "elevation": 38.0,
            "daily_units": { "time": "iso8601", "temperature_2m_max": "°C" },
            "daily": { "time": days, "temperature_2m_max": celsius.collect::<Vec<f64>>() },
        })
    }
}

impl Question {
    fn of(query: &HashMap<&str, &str>) -> Result<Self, &'static str> {
        let number = |name: &str| query.get(name)?.parse::<f64>().ok();
        let day = |name: &str| query.get(name)?.parse::<NaiveDate>().ok();
        let latitude = number("latitude").filter(|degrees| degrees.abs() <= 90.0).ok_or("Latitude must be in range of -90 to 90°.")?;
        let longitude =
            number("longitude").filter(|degrees| degrees.abs() <= 180.0).ok_or("Longitude must be in range of -180 to 180°.")?;
        if query.get("daily").copied() != Some("temperature_2m_max") {
            return Err("Data corrupted at path ''. Cannot initialize from invalid String value.");
        }
        if query.get("timezone").is_none() {
            return Err("Timezone is required");
        }
        let from = day("start_date").ok_or("Invalid date format. Make sure to use 'YYYY-MM-DD'")?;
        let until = day("end_date").ok_or("Invalid date format. Make sure to use 'YYYY-MM-DD'")?;
        if until < from || (until - from).num_days() > HORIZON_DAYS {
            return Err("End-date must be larger or equals than start-date");
        }
        Ok(Self { latitude, longitude, from, until })
    }
}

fn refusal(status: u16, reason: &str) -> Answer {
    Answer::new(status, json!({ "error": true, "reason": reason }).to_string())
}
