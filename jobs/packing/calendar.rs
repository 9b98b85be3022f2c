//! The days on which boxes are packed and parcels delivered, by British dates.
//!
//! A chilled parcel never lies in a depot over a day without delivery: it leaves only on a day from which every day of its
//! way is a day of delivery.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, Days, NaiveDate, Weekday};
use serde::Deserialize;

/// Day and name, a line each; lines with `#` are remarks.
const BANK_HOLIDAYS: &str = include_str!("bank_holidays.csv");
/// How far ahead a day to pack on is looked for.
const HORIZON_DAYS: usize = 60;
/// Month and day of what is kept whatever the day of the week: on a Saturday the bank holiday is the Monday after.
const ALWAYS_CLOSED: [(u32, u32); 3] = [(12, 25), (12, 26), (1, 1)];

/// What the rules say of days.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DayRules {
    /// Days of the week on which boxes are packed.
    pub pack_on: Vec<Weekday>,
    /// Days of the week on which the courier delivers.
    pub deliver_on: Vec<Weekday>,
    /// Whether the courier delivers on bank holidays. Nothing is packed on them all the same.
    #[serde(default)]
    pub deliver_on_bank_holidays: bool,
    /// More days without packing and delivery, such as of a strike.
    #[serde(default)]
    pub closed: Vec<NaiveDate>,
    /// Bank holidays of whole years, in place of those that the program knows.
    #[serde(default)]
    pub bank_holidays: BTreeMap<i32, Vec<NaiveDate>>,
}

/// Days, as the rules have them.
#[derive(Debug, Clone)]
pub struct Calendar {
    rules: DayRules,
    bank_holidays: BTreeSet<NaiveDate>,
    years: BTreeSet<i32>,
}

/// The bank holidays of a year are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bank holidays of {0} are not known: add days.bank_holidays.{0} to the rules of packing")]
pub struct UnknownYear(pub i32);

impl Calendar {
    /// The calendar of these rules.
    pub fn new(rules: DayRules) -> Self {
        let mut days: BTreeSet<NaiveDate> = published().filter(|day| !rules.bank_holidays.contains_key(&day.year())).collect();
        let mut years: BTreeSet<i32> = days.iter().map(Datelike::year).collect();
        years.extend(rules.bank_holidays.keys());
        days.extend(rules.bank_holidays.values().flatten());
        Self { rules, bank_holidays: days, years }
    }

    /// Whether boxes are packed on a day.
    ///
    /// # Errors
    /// [`UnknownYear`].
    pub fn is_pack_day(&self, day: NaiveDate) -> Result<bool, UnknownYear> {
        Ok(!self.is_bank_holiday(day)? && !self.is_closed(day) && self.rules.pack_on.contains(&day.weekday()))
    }

    /// Whether the courier delivers on a day.
    ///
    /// # Errors
    /// [`UnknownYear`].
    pub fn is_delivery_day(&self, day: NaiveDate) -> Result<bool, UnknownYear> {
        let holiday = self.is_bank_holiday(day)? && !self.rules.deliver_on_bank_holidays;
        Ok(!holiday && !self.is_closed(day) && self.rules.deliver_on.contains(&day.weekday()))
    }

    /// The day on which a box arrives that is packed on `day` and so many days on its way; none when it cannot leave then.
    ///
    /// # Errors
    /// [`UnknownYear`].
    pub fn arrival(&self, day: NaiveDate, days: u16) -> Result<Option<NaiveDate>, UnknownYear> {
        if !self.is_pack_day(day)? {
            return Ok(None);
        }
        let mut arrival = day;
        for _ in 0..days.max(1) {
            arrival = next(arrival);
            if !self.is_delivery_day(arrival)? {
                return Ok(None);
            }
        }
        Ok(Some(arrival))
    }

    /// The first day after `day` on which such a box can leave; none within two months.
    ///
    /// # Errors
    /// [`UnknownYear`].
    pub fn next_departure(&self, day: NaiveDate, days: u16) -> Result<Option<NaiveDate>, UnknownYear> {
        for day in day.iter_days().skip(1).take(HORIZON_DAYS) {
            if self.arrival(day, days)?.is_some() {
                return Ok(Some(day));
            }
        }
        Ok(None)
    }

    fn is_bank_holiday(&self, day: NaiveDate) -> Result<bool, UnknownYear> {
        if !self.years.contains(&day.year()) {
            return Err(UnknownYear(day.year()));
        }
        Ok(self.bank_holidays.contains(&day) || ALWAYS_CLOSED.contains(&(day.month(), day.day())))
    }

    fn is_closed(&self, day: NaiveDate) -> bool {
        self.rules.closed.contains(&day)
    }
}

fn next(day: NaiveDate) -> NaiveDate {
    day.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX)
}

/// The bank holidays that the program knows.
fn published() -> impl Iterator<Item = NaiveDate> {
    let days = BANK_HOLIDAYS.lines().filter(|line| !line.starts_with('#'));
    days.map(|line| line.split(',').next().and_then(|day| day.parse().ok()).expect("a line of the file begins with a day"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    fn rules(more: &str) -> DayRules {
        let week = r#""pack_on": ["Mon", "Tue", "Wed", "Thu", "Fri"], "deliver_on": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]"#;
        serde_json::from_str(&format!("{{ {week} {more} }}")).expect("the rules are sound")
    }

    fn arrival(calendar: &Calendar, pack: &str, days: u16) -> Option<String> {
        calendar.arrival(day(pack), days).expect("the year is known").map(|day| day.to_string())
    }

    #[test]
    fn the_published_days_are_those_of_the_year() {
        assert_eq!(published().count(), 83);
        let calendar = Calendar::new(rules(""));
        for text in ["2026-12-28", "2026-12-26", "2022-09-19", "2023-05-08", "2021-12-28", "2028-01-03", "2026-04-03", "2026-04-06"] {
            assert_eq!(calendar.is_delivery_day(day(text)), Ok(false), "{text}");
        }
        for text in ["2026-12-29", "2026-12-24", "2026-04-04", "2028-12-27", "2026-06-15", "2026-08-03"] {
            assert_eq!(calendar.is_delivery_day(day(text)), Ok(true), "{text}: only Scotland keeps two of these");
        }
        assert_eq!(calendar.is_delivery_day(day("2026-12-27")), Ok(false), "a Sunday");
    }

    #[test]
    fn christmas_on_a_saturday_is_kept_as_well_as_the_monday_in_its_place() {
        let calendar = Calendar::new(rules(""));
        for text in ["2021-12-25", "2021-12-27", "2021-12-28", "2027-12-25", "2028-01-01", "2028-01-03"] {
            assert_eq!(calendar.is_delivery_day(day(text)), Ok(false), "{text}");
        }
    }

    #[test]
    fn no_parcel_leaves_into_a_day_without_delivery() {
        let calendar = Calendar::new(rules(""));
        for (pack, days, arrives) in [
            ("2026-03-02", 1, Some("2026-03-03")),
            ("2026-03-06", 1, Some("2026-03-07")),
            ("2026-03-06", 2, None),
            ("2026-03-05", 2, Some("2026-03-07")),
            ("2026-03-07", 1, None),
            ("2026-03-08", 1, None),
            ("2026-04-02", 1, None),
            ("2026-04-01", 1, Some("2026-04-02")),
            ("2026-04-01", 2, None),
            ("2026-04-06", 1, None),
            ("2026-12-24", 1, None),
            ("2026-12-23", 1, Some("2026-12-24")),
            ("2026-03-27", 1, Some("2026-03-28")),
            ("2026-03-27", 0, Some("2026-03-28")),
        ] {
            assert_eq!(arrival(&calendar, pack, days).as_deref(), arrives, "{pack}, {days} days");
        }
    }

    #[test]
    fn what_cannot_leave_leaves_on_the_next_day_that_will_do() {
        let calendar = Calendar::new(rules(""));
        for (from, days, departs) in [
            ("2026-04-02", 1, "2026-04-07"),
            ("2026-04-02", 2, "2026-04-07"),
            ("2026-12-24", 1, "2026-12-29"),
            ("2026-03-05", 2, "2026-03-09"),
        ] {
            assert_eq!(calendar.next_departure(day(from), days), Ok(Some(day(departs))), "{from}, {days} days");
        }
        let never = Calendar::new(DayRules { pack_on: Vec::new(), ..rules("") });
        assert_eq!(never.next_departure(day("2026-03-02"), 1), Ok(None));
    }

    #[test]
    fn the_rules_close_days_open_them_and_know_years_to_come() {
        let strike = Calendar::new(rules(r#", "closed": ["2026-03-03"]"#));
        assert_eq!(arrival(&strike, "2026-03-02", 1), None);
        assert_eq!(strike.is_pack_day(day("2026-03-03")), Ok(false));
        let open = Calendar::new(rules(r#", "deliver_on_bank_holidays": true"#));
        assert_eq!(arrival(&open, "2026-04-02", 1).as_deref(), Some("2026-04-03"));
        assert_eq!(open.is_pack_day(day("2026-04-03")), Ok(false), "nobody packs on Good Friday");
        let calendar = Calendar::new(rules(""));
        assert_eq!(calendar.is_delivery_day(day("2029-01-02")), Err(UnknownYear(2029)));
        assert_eq!(calendar.arrival(day("2028-12-29"), 3), Ok(None), "a Sunday comes before the year that nobody knows");
        let later = Calendar::new(rules(r#", "bank_holidays": { "2029": ["2029-03-30"], "2026": ["2026-02-02"] }"#));
        assert_eq!(later.is_delivery_day(day("2029-03-30")), Ok(false));
        assert_eq!(later.is_delivery_day(day("2026-04-03")), Ok(true), "a year of the rules takes the place of the program's");
    }
}
