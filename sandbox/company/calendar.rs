//! When orders come, and on which days boxes leave.
//!
//! A day of the company is 24 hours, and the last one ends with the history. So the last 24 hours are always full,
//! whatever the clock says.

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveTime, TimeZone, Timelike, Utc, Weekday};
use rand::RngExt;
use rand::rngs::StdRng;

use crate::shopify::clock::in_london;

/// The days of a company and how many orders each brings.
#[derive(Debug, Clone)]
pub struct Calendar {
    until: DateTime<Utc>,
    orders: Vec<u64>,
}

/// How many of 10 visitors order in each hour, night first.
const HOURS: [u32; 24] = [1, 1, 1, 1, 1, 2, 4, 6, 7, 8, 8, 8, 9, 8, 7, 7, 8, 9, 10, 10, 9, 8, 5, 3];

impl Calendar {
    /// The calendar of a company that took `orders` until a moment. It grows from day to day; more orders mean a
    /// longer history too.
    pub fn new(orders: u64, until: DateTime<Utc>) -> Self {
        let days = (orders / 4).clamp(30, 540);
        let weight = |day: u64| {
            let weekday = (until - Duration::days((days - day) as i64)).weekday();
            let share = match weekday {
                Weekday::Mon => 115,
                Weekday::Sat => 85,
                Weekday::Sun => 80,
                _ => 105,
            };
            share * (350 + 1_300 * day / days)
        };
        let whole: u64 = (0..days).map(weight).sum();
        let mut sum = 0;
        let until_day = |sum: u64| (u128::from(orders) * u128::from(sum) / u128::from(whole)) as u64;
        let orders = (0..days)
            .map(|day| {
                let before = until_day(sum);
                sum += weight(day);
                until_day(sum) - before
            })
            .collect();
        Self { until, orders }
    }

    /// How many days there are.
    pub fn days(&self) -> usize {
        self.orders.len()
    }

    /// How many orders a day brings.
    pub fn orders(&self, day: usize) -> u64 {
        self.orders[day]
    }

    /// How many orders all days bring.
    pub fn orders_in_all(&self) -> u64 {
        self.orders.iter().sum()
    }

    /// The end of the history.
    pub const fn until(&self) -> DateTime<Utc> {
        self.until
    }

    /// The moment at which a day begins.
    pub fn start(&self, day: usize) -> DateTime<Utc> {
        self.until - Duration::days((self.days() - day) as i64)
    }

    /// A moment of a day at which somebody is likely to be awake.
    pub fn moment(&self, random: &mut StdRng, day: usize) -> DateTime<Utc> {
        loop {
            let moment = self.start(day) + Duration::seconds(random.random_range(0..86_400));
            if random.random_range(0..10) < HOURS[moment.hour() as usize] {
                return moment;
            }
        }
    }
}

/// A time of day in Britain.
pub fn in_britain(day: NaiveDate, hour: u32, minute: u32) -> DateTime<Utc> {
    let time = NaiveTime::from_hms_opt(hour, minute, 0).expect("a time of day");
    let as_utc = Utc.from_utc_datetime(&day.and_time(time));
    as_utc - Duration::seconds(in_london(as_utc).offset().local_minus_utc().into())
}

/// The first day from `day` on whose boxes arrive the next day: no carrier delivers on Sundays and bank holidays.
pub fn dispatch_day(day: NaiveDate) -> NaiveDate {
    let mut day = day;
    while is_closed(day) || day.weekday() == Weekday::Sat || is_closed(next(day)) {
        day = next(day);
    }
    day
}

/// The first day from `day` on that the carrier delivers.
pub fn delivery_day(day: NaiveDate) -> NaiveDate {
    let mut day = day;
    while is_closed(day) {
        day = next(day);
    }
    day
}

/// The day after.
pub fn next(day: NaiveDate) -> NaiveDate {
    day + Duration::days(1)
}

fn is_closed(day: NaiveDate) -> bool {
    day.weekday() == Weekday::Sun || is_bank_holiday(day)
}

/// Whether England and Wales have a bank holiday.
fn is_bank_holiday(day: NaiveDate) -> bool {
    let (weekday, number) = (day.weekday(), day.day());
    let easter = easter_sunday(day.year());
    if day == easter - Duration::days(2) || day == easter + Duration::days(1) {
        return true;
    }
    match day.month() {
        1 => number == 1 || (weekday == Weekday::Mon && number <= 3),
        5 => weekday == Weekday::Mon && (number <= 7 || number > 24),
        8 => weekday == Weekday::Mon && number > 24,
        // Christmas and Boxing Day; on a weekend the next working days stand in.
        12 => matches!(number, 25 | 26) || (matches!(number, 27 | 28) && matches!(weekday, Weekday::Mon | Weekday::Tue)),
        _ => false,
    }
}

/// Easter Sunday, by the method of Meeus, Jones and Butcher.
fn easter_sunday(year: i32) -> NaiveDate {
    let (a, b, c) = (year % 19, year / 100, year % 100);
    let moon = (19 * a + b - b / 4 - (b - (b + 8) / 25 + 1) / 3 + 15) % 30;
    let week = (32 + 2 * (b % 4) + 2 * (c / 4) - moon - c % 4) % 7;
    let late = (a + 11 * moon + 22 * week) / 451;
    let sum = moon + week - 7 * late + 114;
    NaiveDate::from_ymd_opt(year, (sum / 31) as u32, (sum % 31 + 1) as u32).expect("Easter is a day")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    #[test]
    fn every_order_has_a_day_and_later_days_bring_more() {
        let until = "2026-03-01T12:00:00Z".parse().expect("a moment");
        for orders in [0, 1, 7, 200, 100_000] {
            let calendar = Calendar::new(orders, until);
            let each: Vec<u64> = (0..calendar.days()).map(|day| calendar.orders(day)).collect();
            assert_eq!(each.iter().sum::<u64>(), orders);
            let (first, last) = each.split_at(each.len() / 2);
            assert!(first.iter().sum::<u64>() <= last.iter().sum::<u64>());
        }
    }

    #[test]
    fn bank_holidays_are_known() {
        let known = ["2026-01-01", "2026-04-03", "2026-04-06", "2026-05-04", "2026-05-25", "2026-08-31", "2026-12-25", "2026-12-28"];
        let more = ["2025-04-18", "2025-04-21", "2027-12-27", "2027-12-28", "2028-01-03"];
        assert!(known.iter().chain(&more).all(|text| is_bank_holiday(day(text))));
        let none = ["2026-04-05", "2026-05-11", "2026-05-18", "2026-08-24", "2026-12-29", "2026-01-05"];
        assert!(none.iter().all(|text| !is_bank_holiday(day(text))));
    }

    #[test]
    fn no_box_travels_into_a_day_without_delivery() {
        assert_eq!(dispatch_day(day("2026-04-01")), day("2026-04-01"), "it arrives on Maundy Thursday");
        assert_eq!(dispatch_day(day("2026-04-02")), day("2026-04-07"), "Good Friday, Easter and its Monday");
        assert_eq!(dispatch_day(day("2026-03-07")), day("2026-03-09"), "a Saturday");
        assert_eq!(delivery_day(day("2026-03-08")), day("2026-03-09"), "a Sunday");
    }

    #[test]
    fn a_time_of_day_is_that_of_british_clocks() {
        assert_eq!(in_britain(day("2026-07-01"), 6, 0).to_rfc3339(), "2026-07-01T05:00:00+00:00");
        assert_eq!(in_britain(day("2026-01-01"), 6, 0).to_rfc3339(), "2026-01-01T06:00:00+00:00");
    }
}
