//! How the oracle reads a line, and watches a clock.

use chrono::{Datelike, NaiveDate};
use chrono_tz::Tz;

use super::{MINUTES_A_DAY, date_of, first_day, local, minute_of};

/// A line as the oracle reads it: the minutes of a day, and the days.
pub struct Read {
    minutes: Vec<bool>,
    days: Vec<bool>,
    first_day: i64,
    every_hour: bool,
}

impl Read {
    pub fn new(line: &str) -> Self {
        let fields: Vec<&str> = line.split(' ').collect();
        let (minutes, hours) = (plain(fields[0], 0, 59, &[]), plain(fields[1], 0, 23, &[]));
        let names = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
        let months = plain(fields[3], 1, 12, &names);
        let first_day = first_day();
        let day_matches = |date: NaiveDate| months.contains(&date.month()) && on_day(fields[2], fields[4], date);
        Self {
            minutes: (0..24 * 60).map(|minute| hours.contains(&(minute / 60)) && minutes.contains(&(minute % 60))).collect(),
            days: (first_day..minute_of(2031) / MINUTES_A_DAY + 60).map(|day| day_matches(date_of(day))).collect(),
            first_day,
            every_hour: hours.len() == 24,
        }
    }

    /// Whether there is a day of these years on which it comes.
    pub fn ever_comes(&self) -> bool {
        self.days.contains(&true)
    }

    fn matches(&self, local: i64) -> bool {
        self.minutes[local.rem_euclid(MINUTES_A_DAY) as usize] && self.days[(local.div_euclid(MINUTES_A_DAY) - self.first_day) as usize]
    }

    /// The minutes at which the line comes while the clock is watched.
    ///
    /// A time of day comes when the local clock first reaches or passes it; a line of every hour when the clock shows it.
    /// Written with a plain loop: a hundred million minutes are walked without optimisation.
    pub fn comings(&self, clock: &Clock) -> Vec<i64> {
        let mut found = Vec::new();
        let mut reached = clock.before;
        let mut at = 0;
        while at < clock.shown.len() {
            let (local, day, minute) = clock.shown[at];
            let shown = self.minutes[minute] && self.days[day];
            let comes =
                if self.every_hour || local == reached + 1 { shown } else { (reached + 1..=local).any(|passed| self.matches(passed)) };
            if comes {
                found.push(clock.start + at as i64);
            }
            if local > reached {
                reached = local;
            }
            at += 1;
        }
        found
    }
}

/// What a zone's clock shows in each minute of a stretch: the minute itself, its day counted from the first, and its
/// minute of the day.
pub struct Clock {
    start: i64,
    before: i64,
    shown: Vec<(i64, usize, usize)>,
}

impl Clock {
    pub fn watch(zone: Tz, start: i64, end: i64) -> Self {
        let first_day = first_day();
        let shown = (start..end).map(|minute| {
            let local = local(zone, minute);
            (local, (local.div_euclid(MINUTES_A_DAY) - first_day) as usize, local.rem_euclid(MINUTES_A_DAY) as usize)
        });
        Self { start, before: local(zone, start - 1), shown: shown.collect() }
    }
}

/// A field of numbers, ranges, steps and lists; names count up from `low`.
fn plain(field: &str, low: u32, high: u32, names: &[&str]) -> Vec<u32> {
    let number = |text: &str| match names.iter().position(|name| *name == text) {
        Some(place) => place as u32 + low,
        None => text.parse().unwrap_or_else(|_| panic!("the oracle cannot read {text} of {field}")),
    };
    let mut found = Vec::new();
    for part in field.split(',') {
        let (range, step) = part.split_once('/').map_or((part, 1), |(range, step)| (range, number(step) as usize));
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((from, to)) => (number(from), number(to)),
            None => (number(range), number(range)),
        };
        found.extend((from..=to).step_by(step));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether a date is meant: either field when both are restricted, unless the weekday begins with `+`.
fn on_day(days: &str, weekdays: &str, date: NaiveDate) -> bool {
    let both = weekdays.starts_with('+');
    let weekdays = weekdays.trim_start_matches('+');
    let (day, weekday) = (day_of_month(days, date), day_of_week(weekdays, date));
    if both || days == "*" || weekdays == "*" { day && weekday } else { day || weekday }
}

fn last_day(date: NaiveDate) -> u32 {
    date.num_days_in_month().into()
}

fn day_of_month(field: &str, date: NaiveDate) -> bool {
    if field == "L" {
        return date.day() == last_day(date);
    }
    let Some(wanted) = field.strip_suffix('W') else { return plain(field, 1, 31, &[]).contains(&date.day()) };
    // The weekday next to it in the same month.
    let wanted = date.with_day(wanted.parse().expect("a day")).expect("a day that every month has");
    let nearest = match wanted.weekday() {
        chrono::Weekday::Sat if wanted.day() > 1 => wanted.day() - 1,
        chrono::Weekday::Sat => 3,
        chrono::Weekday::Sun if wanted.day() < last_day(date) => wanted.day() + 1,
        chrono::Weekday::Sun => wanted.day() - 2,
        _ => wanted.day(),
    };
    date.day() == nearest
}

fn day_of_week(field: &str, date: NaiveDate) -> bool {
    let names = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    let today = date.weekday().num_days_from_sunday();
    let Some((weekday, which)) = field.split_once('#') else {
        return plain(field, 0, 6.max(u32::from(field == "7") * 7), &names).iter().any(|weekday| weekday % 7 == today);
    };
    let among = match which {
        "L" => date.day() + 7 > last_day(date),
        nth => date.day().div_ceil(7) == nth.parse::<u32>().expect("a count"),
    };
    among && plain(weekday, 0, 6, &names).contains(&today)
}
