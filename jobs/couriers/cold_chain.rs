//! Whether a parcel stayed cold, by what its logger measured on the way.
//!
//! Only the way counts: a logger goes on in the customer's kitchen and in the post back. While nobody knows when the parcel
//! arrived, warmth may be that of the kitchen, so no parcel fails by it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::temperature_log::Reading;

/// What lies between two readings and is longer than this is not known.
const LONGEST_GAP: TimeDelta = TimeDelta::hours(1);

/// What a parcel may be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// What it must not be warmer than, in hundredths of a degree Celsius.
    pub limit: i32,
    /// For how long it may be warmer all the same, on the whole way.
    pub tolerated: TimeDelta,
}

/// From when to when a parcel was on its way, as far as that is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trip {
    /// When it left.
    pub from: Option<DateTime<Utc>>,
    /// When it arrived.
    pub until: Option<DateTime<Utc>>,
}

/// What is said of a parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Class {
    /// It stayed cold.
    Pass,
    /// It was warmer for a while that is tolerated, or not all of the way is known, or not where it ended.
    Review,
    /// It was too warm for too long.
    Fail,
}

/// What a log says. Temperatures are hundredths of a degree Celsius.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What follows.
    pub class: Class,
    /// Why, where it is no pass.
    pub details: Option<String>,
    /// Coldest, warmest, mean and last; none where no reading falls into the trip.
    pub figures: Option<Figures>,
    /// Minutes above the limit.
    pub above_limit_minutes: i64,
}

/// Figures of the readings that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// The coldest.
    pub min: i32,
    /// The warmest.
    pub max: i32,
    /// The mean.
    pub mean: i32,
    /// At arrival.
    pub arrival: i32,
    /// Minutes above 5 °C.
    pub above_5_minutes: i64,
    /// Minutes above 10 °C.
    pub above_10_minutes: i64,
    /// The first reading.
    pub start: DateTime<Utc>,
    /// The last reading.
    pub end: DateTime<Utc>,
}

/// Judges the readings of a log, which are in the order of time.
pub fn judge(readings: &[Reading], trip: Trip, rules: Rules) -> Verdict {
    let counts = |at: DateTime<Utc>| trip.from.is_none_or(|from| from <= at) && trip.until.is_none_or(|until| at <= until);
    let counted: Vec<Reading> = readings.iter().copied().filter(|reading| counts(reading.at)).collect();
    let (Some(first), Some(last)) = (counted.first(), counted.last()) else {
        let details = Some("no reading falls into the trip: is the logger's clock right, and is it this parcel's?".into());
        return Verdict { class: Class::Review, details, figures: None, above_limit_minutes: 0 };
    };
    let values = counted.iter().map(|reading| reading.hundredths);
    let figures = Figures {
        min: values.clone().min().unwrap_or_default(),
        max: values.clone().max().unwrap_or_default(),
        mean: (values.map(i64::from).sum::<i64>() / counted.len() as i64) as i32,
        arrival: last.hundredths,
        above_5_minutes: above(&counted, 500).num_minutes(),
        above_10_minutes: above(&counted, 1_000).num_minutes(),
        start: first.at,
        end: last.at,
    };
    let warm = above(&counted, rules.limit);
    let span = Trip { from: trip.from.or(Some(first.at)), until: trip.until.or(Some(last.at)) };
    let class = match () {
        () if warm > rules.tolerated && trip.until.is_some() => Class::Fail,
        () if figures.max > rules.limit || is_patchy(&counted, span) => Class::Review,
        () => Class::Pass,
    };
    let details = (class != Class::Pass).then(|| {
        let unknown = if trip.until.is_some() { "" } else { "; when it arrived is not known" };
        words(&counted, &figures, warm, rules) + unknown
    });
    Verdict { class, details, figures: Some(figures), above_limit_minutes: warm.num_minutes() }
}

/// How long it was warmer than a limit. Between two readings of which one is above it, half of the time.
fn above(readings: &[Reading], limit: i32) -> TimeDelta {
    let of_pair = |pair: &[Reading]| {
        let between = (pair[1].at - pair[0].at).min(LONGEST_GAP);
        match pair.iter().filter(|reading| reading.hundredths > limit).count() {
            0 => TimeDelta::zero(),
            1 => between / 2,
            _ => between,
        }
    };
    readings.windows(2).map(of_pair).sum()
}

/// Whether more than a tenth of the trip, and more than an hour, is not known.
fn is_patchy(readings: &[Reading], span: Trip) -> bool {
    let (Some(from), Some(until)) = (span.from, span.until) else { return false };
    let times = std::iter::once(from).chain(readings.iter().map(|reading| reading.at)).chain([until]);
    let times: Vec<DateTime<Utc>> = times.collect();
    let unknown: TimeDelta = times.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > LONGEST_GAP).sum();
    unknown > LONGEST_GAP && unknown * 10 > until - from
}

fn words(counted: &[Reading], figures: &Figures, warm: TimeDelta, rules: Rules) -> String {
    let first_above = counted.iter().find(|reading| reading.hundredths > rules.limit);
    match first_above {
        Some(first) => format!(
            "above {} °C for {} minutes from {} on, at most {} °C",
            degrees(rules.limit),
            warm.num_minutes(),
            first.at.with_timezone(&chrono_tz::Europe::London).format("%Y-%m-%d %H:%M"),
            degrees(figures.max)
        ),
        None => "more than a tenth of the way is not in the log".into(),
    }
}

/// Hundredths of a degree, written out.
pub fn degrees(hundredths: i32) -> String {
    rust_decimal::Decimal::new(hundredths.into(), 2).normalize().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { limit: -500, tolerated: TimeDelta::minutes(30) };

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_768_460_400, 0).expect("a time") + TimeDelta::minutes(minutes)
    }

    /// A reading every quarter of an hour.
    fn log(values: &[i32]) -> Vec<Reading> {
        (0..).zip(values).map(|(n, value)| Reading { at: at(n * 15), hundredths: *value }).collect()
    }

    #[test]
    fn a_cold_way_passes_with_its_figures() {
        let verdict = judge(&log(&[-1_840, -1_700, -1_500, -1_210]), Trip::default(), RULES);
        let figures = verdict.figures.expect("figures");
        assert_eq!((verdict.class, verdict.details, verdict.above_limit_minutes), (Class::Pass, None, 0));
        assert_eq!((figures.min, figures.max, figures.mean, figures.arrival), (-1_840, -1_210, -1_562, -1_210));
        assert_eq!((figures.start, figures.end), (at(0), at(45)));
    }

    #[test]
    fn warmth_is_tolerated_for_a_while_and_fails_after_it() {
        let trip = Trip { from: None, until: Some(at(60)) };
        let brief = judge(&log(&[-900, -400, -450, -900]), trip, RULES);
        assert_eq!((brief.class, brief.above_limit_minutes), (Class::Review, 30));
        let long = judge(&log(&[-900, -400, 320, 1_100, -900]), trip, RULES);
        assert_eq!((long.class, long.above_limit_minutes), (Class::Fail, 45));
        assert_eq!(long.details.as_deref(), Some("above -5 °C for 45 minutes from 2026-01-15 07:15 on, at most 11 °C"));
        let figures = long.figures.expect("figures");
        assert_eq!((figures.above_5_minutes, figures.above_10_minutes), (15, 15));
    }

    #[test]
    fn the_kitchen_and_the_post_back_do_not_count() {
        let readings = log(&[2_000, -1_800, -1_700, -1_600, 2_000, 2_100, 2_100]);
        let trip = Trip { from: Some(at(15)), until: Some(at(50)) };
        assert_eq!(judge(&readings, trip, RULES).class, Class::Pass);
        assert_eq!(judge(&readings, Trip { until: Some(at(90)), ..trip }, RULES).class, Class::Fail);
        let nobody_knows = judge(&readings, Trip { until: None, ..trip }, RULES);
        let words = "above -5 °C for 37 minutes from 2026-01-15 08:00 on, at most 21 °C; when it arrived is not known";
        assert_eq!((nobody_knows.class, nobody_knows.details.as_deref()), (Class::Review, Some(words)));
        let other = judge(&readings, Trip { from: Some(at(500)), until: None }, RULES);
        assert_eq!((other.class, other.figures), (Class::Review, None));
    }

    #[test]
    fn a_way_that_is_not_in_the_log_is_looked_at_by_a_person() {
        let trip = Trip { from: Some(at(0)), until: Some(at(1_440)) };
        let verdict = judge(&log(&[-1_800, -1_700]), trip, RULES);
        assert_eq!((verdict.class, verdict.details.as_deref()), (Class::Review, Some("more than a tenth of the way is not in the log")));
        // A gap is no warmth: what is not known is counted for an hour at most.
        let apart = [Reading { at: at(0), hundredths: 400 }, Reading { at: at(900), hundredths: 400 }];
        assert_eq!(judge(&apart, Trip::default(), RULES).above_limit_minutes, 60);
    }
}
