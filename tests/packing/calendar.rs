//! The calendar beside the bank holidays as the government publishes them.

use std::{collections::BTreeSet, fs};

use chrono::{Datelike, NaiveDate, Weekday};
use jobs::packing::calendar::Calendar;
use serde_json::{Value, json};

use super::day;

/// Every day of the years that are published, where the collection of them is beside the project.
#[test]
fn every_day_of_the_published_years_is_one_of_delivery_or_a_sunday_or_a_holiday() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/fixtures/uk/bank-holidays.json");
    let Ok(text) = fs::read_to_string(path) else { return };
    let document: Value = serde_json::from_str(&text).expect("the holidays are JSON");
    let years = document["divisions"]["common.nations.england-and-wales_slug"].as_object().expect("a division");
    let holidays: BTreeSet<NaiveDate> = years
        .values()
        .filter_map(Value::as_array)
        .flatten()
        .map(|one| NaiveDate::parse_from_str(one["date"].as_str().expect("a date"), "%d/%m/%Y").expect("a date"))
        .collect();
    assert!(holidays.len() > 80);
    let rules = json!({ "pack_on": ["Mon", "Tue", "Wed", "Thu", "Fri"], "deliver_on": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] });
    let calendar = Calendar::new(serde_json::from_value(rules).expect("the rules are sound"));
    let mut days = 0;
    for date in day("2019-01-01").iter_days().take_while(|date| date.year() <= 2028) {
        // Whatever the day of the week, nobody works on these.
        let kept = matches!((date.month(), date.day()), (12, 25 | 26) | (1, 1));
        let open = !holidays.contains(&date) && !kept && date.weekday() != Weekday::Sun;
        assert_eq!(calendar.is_delivery_day(date), Ok(open), "{date}");
        let packed = open && date.weekday() != Weekday::Sat;
        assert_eq!(calendar.is_pack_day(date), Ok(packed), "{date}");
        if packed {
            let arrival = calendar.arrival(date, 1).unwrap_or_default();
            assert!(arrival.is_none_or(|arrival| !holidays.contains(&arrival) && arrival.weekday() != Weekday::Sun), "{date}");
        }
        days += 1;
    }
    assert_eq!(days, 3_653);
}
