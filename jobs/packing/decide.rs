//! How a box is packed: decided from facts alone.

use super::{
    destination::Destination,
    rules::{BoxRule, Risk, Rules},
};

/// The most boxes of one order.
const MOST_BOXES: u32 = 9;

/// The warmest hour of the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weather {
    /// As forecast, in tenths of a degree Celsius.
    Forecast(i16),
    /// As assumed, in tenths of a degree Celsius, because no forecast is to be had: why.
    Assumed(i16, String),
}

/// An instruction of the packer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// The size of the box; `2x large` of several.
    pub box_size: String,
    /// What it is lined with.
    pub insulation: String,
    /// Packs of coolant, of all boxes.
    pub packs: u32,
    /// Their mass, in grams.
    pub coolant_grams: u32,
    /// What all boxes weigh when they are packed right, in grams.
    pub total_grams: u32,
    /// Hours on the way.
    pub transit_hours: u16,
    /// The risk.
    pub risk: Risk,
    /// Whether a temperature logger travels along.
    pub logger: bool,
    /// What else the packer should know, a sentence each.
    pub notes: Vec<String>,
}

/// Whole days on the way of so many hours.
pub const fn days_of(transit_hours: u16) -> u16 {
    transit_hours.div_ceil(24)
}

/// Decides how `grams` of food go to a destination.
///
/// # Errors
/// Why nobody can pack it so that it stays cold.
pub fn decide(grams: u32, destination: &Destination, weather: &Weather, rules: &Rules) -> Result<Instruction, String> {
    let hours = destination.transit_hours.unwrap_or(rules.usual_transit_hours);
    let way = rules.risk_of_way(hours)?;
    let (Weather::Forecast(tenths) | Weather::Assumed(tenths, _)) = weather;
    let ambient = rules.ambient.iter().find(|band| band.up_to_celsius.is_none_or(|end| i32::from(*tenths) <= i32::from(end) * 10));
    let ambient = ambient.ok_or("the rules have no band for so warm a day")?;
    let place = if destination.care.is_some() { rules.high_risk_postcode } else { Risk::Low };
    let risk = way.max(ambient.risk).max(place);
    let insulation = rules.insulation(risk);
    let packs = |one: &BoxRule| {
        let mass = u128::from(one.coolant_grams_a_day) * u128::from(hours.max(24)) * u128::from(ambient.coolant_percent);
        let mass = (mass * u128::from(insulation.coolant_percent)).div_ceil(24 * 100 * 100);
        u32::try_from(mass.div_ceil(u128::from(rules.pack_grams))).unwrap_or(u32::MAX)
    };
    let (count, one) = boxes(grams, rules, packs)?;
    let packs = packs(one) * count;
    let coolant_grams = packs.saturating_mul(rules.pack_grams);
    Ok(Instruction {
        box_size: if count == 1 { one.size.clone() } else { format!("{count}x {}", one.size) },
        insulation: insulation.name.clone(),
        packs,
        coolant_grams,
        total_grams: grams.saturating_add(coolant_grams).saturating_add(one.empty_grams.saturating_mul(count)),
        transit_hours: hours,
        risk,
        logger: risk >= rules.logger_from,
        notes: notes(count, destination, weather, hours),
    })
}

/// The smallest box that holds the food and its coolant, else as few of the largest as do.
fn boxes(grams: u32, rules: &Rules, packs: impl Fn(&BoxRule) -> u32) -> Result<(u32, &BoxRule), String> {
    if grams == 0 {
        return Err("nothing of the order is allocated".into());
    }
    for count in 1..=MOST_BOXES {
        let share = grams.div_ceil(count);
        let fits = |one: &&BoxRule| share <= one.food_grams && packs(one) <= one.most_packs.into();
        if let Some(one) = rules.boxes.iter().find(fits) {
            return Ok((count, one));
        }
    }
    let colder = rules.boxes.iter().any(|one| packs(one) <= one.most_packs.into());
    if colder {
        return Err(format!("{grams} g of food are more than {MOST_BOXES} boxes hold"));
    }
    Err("no box has room for the coolant that the way needs".into())
}

fn notes(count: u32, destination: &Destination, weather: &Weather, hours: u16) -> Vec<String> {
    let mut notes = Vec::new();
    if count > 1 {
        notes.push(format!("Pack {count} boxes, and share food and coolant out evenly."));
    }
    if let Weather::Assumed(tenths, why) = weather {
        notes.push(format!("{} °C are assumed: {why}.", f64::from(*tenths) / 10.0));
    }
    if let Some((region, policy)) = &destination.care {
        notes.push(format!("{region}: {policy}."));
    }
    if destination.transit_hours.is_none() {
        notes.push(format!("No table says how long the way is; {hours} hours are assumed."));
    }
    notes
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Rules with round numbers.
    pub(in crate::packing) fn document() -> Value {
        json!({
            "boxes": [
                { "size": "small", "food_grams": 4_000, "empty_grams": 600, "coolant_grams_a_day": 1_000, "most_packs": 6 },
                { "size": "large", "food_grams": 10_000, "empty_grams": 1_000, "coolant_grams_a_day": 2_000, "most_packs": 16 },
            ],
            "pack_grams": 500,
            "ambient": [
                { "up_to_celsius": 15, "coolant_percent": 100, "risk": "LOW" },
                { "up_to_celsius": 25, "coolant_percent": 150, "risk": "MEDIUM" },
                { "up_to_celsius": null, "coolant_percent": 250, "risk": "HIGH" },
            ],
            "transit": [
                { "up_to_hours": 24, "risk": "LOW" }, { "up_to_hours": 48, "risk": "MEDIUM" }, { "up_to_hours": 72, "risk": "HIGH" },
            ],
            "insulation": {
                "LOW": { "name": "Wool", "coolant_percent": 100 }, "MEDIUM": { "name": "Wool", "coolant_percent": 100 },
                "HIGH": { "name": "Wool, double", "coolant_percent": 80 },
            },
            "high_risk_postcode": "HIGH", "logger_from": "HIGH",
            "without_forecast_celsius": [15, 15, 18, 22, 26, 30, 34, 34, 28, 22, 18, 15],
            "usual_transit_hours": 48, "packed_in": "PE",
            "days": { "pack_on": ["Mon", "Tue", "Wed", "Thu", "Fri"], "deliver_on": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] },
        })
    }

    fn rules() -> Rules {
        Rules::parse(&document().to_string()).expect("the rules are sound")
    }

    fn to(hours: u16) -> Destination {
        Destination { transit_hours: Some(hours), care: None }
    }

    /// Box, lining, packs, risk, logger, total in grams.
    fn packed(grams: u32, destination: &Destination, tenths: i16) -> (String, String, u32, Risk, bool, u32) {
        let made = decide(grams, destination, &Weather::Forecast(tenths), &rules()).expect("it can be packed");
        assert_eq!(made.coolant_grams, made.packs * 500);
        (made.box_size, made.insulation, made.packs, made.risk, made.logger, made.total_grams)
    }

    #[test]
    fn coolant_grows_with_the_way_the_weather_and_the_box() {
        let of = |size: &str, lining: &str, packs, risk, logger, grams| (size.into(), lining.into(), packs, risk, logger, grams);
        assert_eq!(packed(4_000, &to(24), 150), of("small", "Wool", 2, Risk::Low, false, 5_600), "a band's end belongs to it");
        assert_eq!(packed(4_000, &to(24), 151), of("small", "Wool", 3, Risk::Medium, false, 6_100));
        assert_eq!(packed(4_001, &to(24), -50), of("large", "Wool", 4, Risk::Low, false, 7_001));
        assert_eq!(packed(4_000, &to(48), 100), of("small", "Wool", 4, Risk::Medium, false, 6_600));
        assert_eq!(packed(4_000, &to(25), 100), of("small", "Wool", 3, Risk::Medium, false, 6_100), "a pack that is begun counts");
        assert_eq!(packed(4_000, &to(12), 100), of("small", "Wool", 2, Risk::Low, false, 5_600), "no way is shorter than a day");
        assert_eq!(packed(4_000, &to(24), 300), of("small", "Wool, double", 4, Risk::High, true, 6_600));
        let large = of("large", "Wool, double", 16, Risk::High, true, 10_000);
        assert_eq!(packed(1_000, &to(48), 300), large, "the small box has no room for eight packs");
    }

    #[test]
    fn a_place_that_needs_care_is_of_high_risk_on_the_mildest_day() {
        let destination = Destination { care: Some(("Highlands".into(), "extra coolant".into())), ..to(24) };
        let made = decide(1_000, &destination, &Weather::Forecast(100), &rules()).expect("it can be packed");
        assert_eq!((made.risk, made.logger, made.insulation.as_str()), (Risk::High, true, "Wool, double"));
        assert_eq!(made.notes, ["Highlands: extra coolant."]);
    }

    #[test]
    fn what_is_assumed_is_written_down() {
        let weather = Weather::Assumed(340, "no forecast is configured".into());
        let made = decide(1_000, &Destination { transit_hours: None, care: None }, &weather, &rules()).expect("it can be packed");
        assert_eq!((made.transit_hours, made.risk), (48, Risk::High));
        let notes = ["34 °C are assumed: no forecast is configured.", "No table says how long the way is; 48 hours are assumed."];
        assert_eq!(made.notes, notes);
    }

    #[test]
    fn what_fills_more_than_one_box_goes_in_several() {
        let made = decide(10_001, &to(24), &Weather::Forecast(100), &rules()).expect("it can be packed");
        assert_eq!((made.box_size.as_str(), made.packs, made.total_grams), ("2x large", 8, 10_001 + 4_000 + 2_000));
        assert_eq!(made.notes, ["Pack 2 boxes, and share food and coolant out evenly."]);
        let two_small = decide(8_000, &to(24), &Weather::Forecast(100), &rules()).expect("it can be packed");
        assert_eq!(two_small.box_size, "large", "fewer boxes come first");
        assert!(decide(90_000, &to(24), &Weather::Forecast(100), &rules()).is_ok_and(|made| made.box_size == "9x large"));
    }

    #[test]
    fn what_cannot_stay_cold_is_not_packed_and_says_why() {
        let refusal = |grams, hours, tenths| decide(grams, &to(hours), &Weather::Forecast(tenths), &rules()).expect_err("it is refused");
        assert_eq!(refusal(1_000, 73, 100), "73 hours on the way are too many for a chilled parcel");
        assert_eq!(refusal(90_001, 24, 100), "90001 g of food are more than 9 boxes hold");
        assert_eq!(refusal(0, 24, 100), "nothing of the order is allocated");
        let mut document = document();
        document["ambient"][2]["coolant_percent"] = json!(900);
        let rules = Rules::parse(&document.to_string()).expect("the rules are sound");
        let words = decide(1_000, &to(72), &Weather::Forecast(400), &rules).expect_err("it is refused");
        assert_eq!(words, "no box has room for the coolant that the way needs");
    }

    #[test]
    fn nothing_overflows_at_the_edges_of_what_rules_and_weather_can_say() {
        let mut document = document();
        for (pointer, value) in [
            ("/boxes/1/coolant_grams_a_day", json!(u32::MAX)),
            ("/boxes/1/food_grams", json!(u32::MAX)),
            ("/boxes/1/empty_grams", json!(u32::MAX)),
            ("/boxes/1/most_packs", json!(1_000)),
            ("/transit/2/up_to_hours", json!(240)),
            ("/ambient/2/coolant_percent", json!(1_000)),
        ] {
            *document.pointer_mut(pointer).expect("the rules have it") = value;
        }
        let rules = Rules::parse(&document.to_string()).expect("the rules are sound");
        for grams in [1, u32::MAX] {
            for tenths in [i16::MIN, i16::MAX] {
                let _ = decide(grams, &to(240), &Weather::Forecast(tenths), &rules);
            }
        }
    }
}
