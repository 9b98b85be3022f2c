//! The rules of packing: a document of `raw_ops.config`, in versions.
//!
//! The row `packing.rules` names the version that holds; the row `packing.rules.VERSION` has its document. A version is never
//! changed, so that an instruction's `calculation_version` says by which rules it was made: a change is a new version.

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use super::{areas, calendar::DayRules};

/// The longest name of a size; `9x` comes before it where an order fills several boxes.
const SIZE_LENGTH: usize = 7;
/// The most packs of coolant in one box.
const MOST_PACKS: u16 = 1_000;
/// The longest way that is believed, in hours.
const LONGEST_WAY: u16 = 240;

/// How much a box is at risk to become warm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Risk {
    /// A usual day.
    Low,
    /// Warm, or long on the way.
    Medium,
    /// Hot, or very long on the way, or to a place that is known for it.
    High,
}

impl Risk {
    /// Its word in `packing_instructions.risk_level`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
        }
    }
}

/// Everything that decides how a box is packed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// The boxes, smallest first.
    pub boxes: Vec<BoxRule>,
    /// One pack of coolant (phase change material), in grams.
    pub pack_grams: u32,
    /// By the warmest hour of the way, coldest first; the last has no end.
    pub ambient: Vec<Ambient>,
    /// By the hours of the way, shortest first; nothing is sent on a longer one than the last.
    pub transit: Vec<Transit>,
    /// Of each risk.
    pub insulation: Insulations,
    /// The least risk of a place in `high_risk_postcodes`.
    pub high_risk_postcode: Risk,
    /// From this risk on a temperature logger travels along.
    pub logger_from: Risk,
    /// What the warmest hour is taken for when no forecast is to be had, January to December, in degrees Celsius.
    pub without_forecast_celsius: [i16; 12],
    /// Hours of the way to a place of which no table says them.
    pub usual_transit_hours: u16,
    /// The postcode area where boxes are packed.
    pub packed_in: String,
    /// The calendar.
    pub days: DayRules,
}

/// A box.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoxRule {
    /// Its name.
    pub size: String,
    /// Food that it holds, in grams.
    pub food_grams: u32,
    /// Itself with its insulation, in grams.
    pub empty_grams: u32,
    /// Coolant for a day on the way at 100 %, in grams.
    pub coolant_grams_a_day: u32,
    /// Packs that find room beside the food.
    pub most_packs: u16,
}

/// A band of temperatures.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ambient {
    /// Its upper end, in degrees Celsius; the last band has none.
    pub up_to_celsius: Option<i16>,
    /// Coolant in relation to the box's.
    pub coolant_percent: u32,
    /// The risk.
    pub risk: Risk,
}

/// A band of ways.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transit {
    /// Its upper end, in hours.
    pub up_to_hours: u16,
    /// The risk.
    pub risk: Risk,
}

/// What a box is lined with, by risk.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "UPPERCASE")]
pub struct Insulations {
    low: Insulation,
    medium: Insulation,
    high: Insulation,
}

/// A lining.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Insulation {
    /// Its name.
    pub name: String,
    /// Coolant in relation to the box's.
    pub coolant_percent: u32,
}

impl Rules {
    /// Reads a document.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut document = serde_json::Deserializer::from_str(text);
        let rules: Self = serde_path_to_error::deserialize(&mut document).map_err(|error| error.to_string())?;
        rules.fault().map_or(Ok(rules), |fault| Err(fault.to_owned()))
    }

    /// The risk of a way of so many hours.
    ///
    /// # Errors
    /// When nothing chilled is sent on so long a way.
    pub fn risk_of_way(&self, hours: u16) -> Result<Risk, String> {
        let band = self.transit.iter().find(|band| hours <= band.up_to_hours).map(|band| band.risk);
        band.ok_or_else(|| format!("{hours} hours on the way are too many for a chilled parcel"))
    }

    /// The lining of a risk.
    pub const fn insulation(&self, risk: Risk) -> &Insulation {
        match risk {
            Risk::Low => &self.insulation.low,
            Risk::Medium => &self.insulation.medium,
            Risk::High => &self.insulation.high,
        }
    }

    /// What the warmest hour of a day is taken for, in tenths of a degree.
    pub fn assumed_tenths(&self, day: NaiveDate) -> i16 {
        self.without_forecast_celsius[day.month0() as usize].saturating_mul(10)
    }

    /// What a document that can be read gets wrong.
    fn fault(&self) -> Option<&'static str> {
        let rising = |ends: Vec<i64>| ends.windows(2).all(|pair| pair[0] < pair[1]);
        let percents = self.ambient.iter().map(|band| band.coolant_percent);
        let linings = [Risk::Low, Risk::Medium, Risk::High].map(|risk| self.insulation(risk));
        let percents: Vec<u32> = percents.chain(linings.iter().map(|lining| lining.coolant_percent)).collect();
        let colder = &self.ambient[..self.ambient.len().saturating_sub(1)];
        let faults = [
            (self.boxes.is_empty() || self.ambient.is_empty() || self.transit.is_empty(), "boxes, ambient and transit must not be empty"),
            (self.boxes.iter().any(|one| one.size.is_empty() || one.size.len() > SIZE_LENGTH), "a size must have 1 to 7 characters"),
            (!rising(self.boxes.iter().map(|one| one.food_grams.into()).collect()), "boxes must be in the order of food_grams"),
            (
                self.boxes.iter().any(|one| one.food_grams == 0 || one.coolant_grams_a_day == 0),
                "food_grams and coolant_grams_a_day of a box must be above 0",
            ),
            (!self.boxes.iter().all(|one| (1..=MOST_PACKS).contains(&one.most_packs)), "most_packs must be from 1 to 1000"),
            (!(1..=100_000).contains(&self.pack_grams), "pack_grams must be from 1 to 100000"),
            (self.ambient.last().is_some_and(|band| band.up_to_celsius.is_some()), "the last band of ambient must have no end"),
            (colder.iter().any(|band| band.up_to_celsius.is_none()), "only the last band of ambient has no end"),
            (
                !rising(colder.iter().filter_map(|band| band.up_to_celsius).map(i64::from).collect()),
                "ambient must be in the order of degrees",
            ),
            (!rising(self.transit.iter().map(|band| band.up_to_hours.into()).collect()), "transit must be in the order of hours"),
            (self.transit.iter().any(|band| band.up_to_hours == 0 || band.up_to_hours > LONGEST_WAY), "up_to_hours must be from 1 to 240"),
            (!percents.iter().all(|percent| (1..=1_000).contains(percent)), "coolant_percent must be from 1 to 1000"),
            (linings.iter().any(|lining| lining.name.is_empty() || lining.name.len() > 50), "a lining's name must have 1 to 50 bytes"),
            (self.usual_transit_hours == 0 || self.usual_transit_hours > LONGEST_WAY, "usual_transit_hours must be from 1 to 240"),
            (
                !self.without_forecast_celsius.iter().all(|degrees| (-30..=50).contains(degrees)),
                "without_forecast_celsius must be from -30 to 50",
            ),
            (areas::place(&self.packed_in).is_none(), "packed_in must be a postcode area, such as SW"),
            (self.days.pack_on.is_empty() || self.days.deliver_on.is_empty(), "days.pack_on and days.deliver_on must not be empty"),
        ];
        faults.into_iter().find_map(|(wrong, words)| wrong.then_some(words))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document() -> Value {
        super::super::decide::tests::document()
    }

    #[test]
    fn rules_that_contradict_themselves_are_refused_with_the_reason() {
        assert!(Rules::parse(&document().to_string()).is_ok());
        let cases: [(&str, Value, &str); 14] = [
            ("/boxes", json!([]), "must not be empty"),
            ("/boxes/0/size", json!("ENORMOUS"), "1 to 7 characters"),
            ("/boxes/0/food_grams", json!(20_000), "order of food_grams"),
            ("/boxes/0/most_packs", json!(0), "most_packs"),
            ("/pack_grams", json!(0), "pack_grams"),
            ("/pack_grams", json!(-5), "pack_grams"),
            ("/ambient/0/up_to_celsius", Value::Null, "only the last band"),
            ("/ambient/0/up_to_celsius", json!(90), "order of degrees"),
            ("/ambient/0/risk", json!("low"), "ambient[0].risk"),
            ("/transit/0/up_to_hours", json!(500), "order of hours"),
            ("/insulation/LOW/coolant_percent", json!(0), "coolant_percent"),
            ("/without_forecast_celsius", json!([1, 2]), "without_forecast_celsius"),
            ("/packed_in", json!("XX"), "postcode area"),
            ("/days/pack_on", json!(["Funday"]), "days.pack_on"),
        ];
        for (pointer, value, words) in cases {
            let mut document = document();
            *document.pointer_mut(pointer).expect("the rules have it") = value;
            let error = Rules::parse(&document.to_string()).expect_err(pointer);
            assert!(error.contains(words), "{pointer}: {error}");
        }
        for (text, words) in [("{}", "missing field"), ("", "EOF"), (r#"{ "surprise": 1 }"#, "surprise")] {
            let error = Rules::parse(text).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
