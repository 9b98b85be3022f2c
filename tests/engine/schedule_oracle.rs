//! Every IANA zone, cron lines and 2020 to 2030, against a second implementation that walks minute by minute.
//!
//! The oracle shares with the engine only the table of offsets, asked for the local time of each minute of UTC, which is
//! never in doubt. It reads the lines itself, and finds gaps and repeated hours by watching the local time jump.
//!
//! Zones with the same offsets all the time are looked at once. Of each: two days before and after every change of its
//! offset, and 20 days drawn by a fixed seed. `RAWOPS_ORACLE_LINES=200 cargo test --test all schedule_oracle` adds lines
//! drawn by the seed until there are 200, and takes some minutes.

mod line;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use chrono::{DateTime, NaiveDate, Offset, TimeZone, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use engine::schedule::Timetable;
use line::{Clock, Read};
use rand::{RngExt, SeedableRng, rngs::StdRng};

const LINES: [&str; 20] = [
    "0 * * * *",
    "17 * * * *",
    "*/15 * * * *",
    "30 1 * * *",
    "30 2 * * *",
    "0 0 * * *",
    "59 23 * * *",
    "15,45 0-3 * * *",
    "0 */6 * * *",
    "*/20 1-3 * * *",
    "0 6 * * MON-FRI",
    "30 23 * * SAT",
    "15 2 * * 7",
    "0 3 1 * *",
    "0 12 L * *",
    "30 1 15W * *",
    "45 2 * 3,10 SUN#L",
    "30 0 13 * FRI#2",
    "*/7 22-23,0-4 29-31 MAR,OCT,APR,NOV *",
    "5-55/10 0-22 * * +FRI",
];
const SEED: u64 = 20_260_329;
const MINUTES_A_DAY: i64 = 1440;
/// Days around a change of the offset, and days drawn.
const AROUND: i64 = 2;
const DRAWN: usize = 20;
/// Moments of each zone and line at which the latest occurrence is asked for.
const LOOKS: usize = 4;

fn minute_of(year: i32) -> i64 {
    Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).single().expect("a new year").timestamp() / 60
}

/// The day from which days are counted, before all that is looked at.
fn first_day() -> i64 {
    minute_of(2020) / MINUTES_A_DAY - 60
}

fn date_of(day: i64) -> NaiveDate {
    NaiveDate::from_epoch_days(day as i32).expect("a day of these years")
}

fn moment(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(minute * 60, 0).expect("a minute of these years")
}

/// The local time of a minute of UTC, in minutes.
fn local(zone: Tz, minute: i64) -> i64 {
    let offset = zone.offset_from_utc_datetime(&moment(minute).naive_utc()).fix().local_minus_utc();
    minute + i64::from(offset) / 60
}

/// The minutes at which a zone's offset changes, by bisection between days.
fn changes(zone: Tz) -> Vec<i64> {
    let offset = |minute| local(zone, minute) - minute;
    let mut found = Vec::new();
    let mut day = minute_of(2020);
    while day < minute_of(2031) {
        let (mut before, mut after) = (day, day + MINUTES_A_DAY);
        if offset(before) != offset(after) {
            while after - before > 1 {
                let middle = i64::midpoint(before, after);
                if offset(middle) == offset(before) { before = middle } else { after = middle }
            }
            found.push(after);
        }
        day += MINUTES_A_DAY;
    }
    found
}

/// A zone with the minutes at which its offset changes.
type Changing = (Tz, Vec<i64>);

/// One zone for all that have its offsets.
fn distinct_zones() -> Vec<Changing> {
    let mut distinct: BTreeMap<Vec<(i64, i64)>, Changing> = BTreeMap::new();
    for zone in TZ_VARIANTS {
        let changes = changes(zone);
        let mut offsets = vec![(0, local(zone, minute_of(2020)) - minute_of(2020))];
        offsets.extend(changes.iter().map(|minute| (*minute, local(zone, *minute) - minute)));
        distinct.entry(offsets).or_insert((zone, changes));
    }
    distinct.into_values().collect()
}

/// The stretches of minutes that are looked at.
fn windows(changes: &[i64], random: &mut StdRng) -> Vec<(i64, i64)> {
    let days = AROUND * MINUTES_A_DAY;
    let mut windows: Vec<(i64, i64)> = changes.iter().map(|change| (change - days, change + days)).collect();
    windows.extend((0..DRAWN).map(|_| {
        let start = random.random_range(minute_of(2020)..minute_of(2031) - MINUTES_A_DAY);
        (start, start + MINUTES_A_DAY)
    }));
    windows
}

/// Lines that nobody thought of.
fn drawn_line(random: &mut StdRng) -> String {
    let mut one_of = |choices: &[&str]| choices[random.random_range(0..choices.len())].to_string();
    let minute = one_of(&["0", "30", "59", "1,31", "*/10", "*/25", "5-50/15", "0,15,30,45"]);
    let hour = one_of(&["*", "0", "1", "2", "3", "23", "*/2", "*/3", "0-4", "22-23,0-3", "1-23", "0-12/4"]);
    let day = one_of(&["*", "*", "*", "1", "13", "28-31", "L", "1W", "15W", "28W", "*/5"]);
    let month = one_of(&["*", "*", "*", "3,10", "MAR-NOV", "*/2", "4,9"]);
    let weekday = one_of(&["*", "*", "*", "SUN", "6", "MON-FRI", "SUN#L", "FRI#1", "SAT#5", "+SUN", "0,3"]);
    format!("{minute} {hour} {day} {month} {weekday}")
}

fn lines() -> Vec<String> {
    let wanted = std::env::var("RAWOPS_ORACLE_LINES").ok().and_then(|text| text.parse().ok()).unwrap_or(LINES.len());
    let mut random = StdRng::seed_from_u64(SEED);
    let mut lines: Vec<String> = LINES.iter().map(ToString::to_string).collect();
    while lines.len() < wanted {
        let line = drawn_line(&mut random);
        let comes = Timetable::new(&line, Tz::UTC).is_ok();
        assert!(comes || !Read::new(&line).ever_comes(), "`{line}` is refused and comes");
        if comes && !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// Compares one zone; returns how many occurrences agreed.
fn compare(zone: Tz, changes: &[i64], lines: &[(String, Read)]) -> usize {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut agreed = 0;
    let timetables: Vec<Timetable> =
        lines.iter().map(|(line, _)| Timetable::new(line, zone).unwrap_or_else(|error| panic!("{error}"))).collect();
    for (start, end) in windows(changes, &mut random) {
        let clock = Clock::watch(zone, start, end);
        for ((line, read), timetable) in lines.iter().zip(&timetables) {
            let wanted: Vec<i64> = read.comings(&clock);
            let found: Vec<i64> =
                timetable.between(moment(start - 1), moment(end - 1)).map(|occurrence| occurrence.timestamp() / 60).collect();
            assert!(wanted == found, "`{line}` in {zone}: {}", difference(&wanted, &found));
            for _ in 0..if wanted.is_empty() { 0 } else { LOOKS.min(wanted.len()) } {
                let look = random.random_range(wanted[0]..end);
                let latest = wanted.iter().rfind(|minute| **minute <= look).copied().map(moment);
                assert_eq!(timetable.latest(moment(look)), latest, "the latest of `{line}` in {zone} at {}", moment(look));
            }
            agreed += wanted.len();
        }
    }
    agreed
}

fn difference(wanted: &[i64], found: &[i64]) -> String {
    let only = |these: &[i64], those: &[i64]| {
        these.iter().filter(|minute| !those.contains(minute)).take(5).map(|minute| moment(*minute).to_string()).collect::<Vec<_>>()
    };
    format!("not found {:?}, found too much {:?}", only(wanted, found), only(found, wanted))
}

#[test]
fn every_zone_agrees_with_an_oracle_that_walks_the_minutes() {
    let zones = distinct_zones();
    let lines: Vec<(String, Read)> = lines().into_iter().map(|line| (line.clone(), Read::new(&line))).collect();
    let (next, agreed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some((zone, changes)) = zones.get(next.fetch_add(1, Ordering::Relaxed)) {
            agreed.fetch_add(compare(*zone, changes, &lines), Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        for thread in threads {
            if let Err(difference) = thread.join() {
                std::panic::resume_unwind(difference);
            }
        }
    });
    let (agreed, changes) = (agreed.into_inner(), zones.iter().map(|(_, changes)| changes.len()).sum::<usize>());
    println!("{agreed} occurrences of {} lines in {} distinct zones with {changes} changes agree", lines.len(), zones.len());
    assert!(zones.len() > 80 && changes > 750 && agreed > 900_000, "the comparison covered what it should");
}
