//! When a line comes: the rule for changing clocks, seconds, and lines that say nothing.

use chrono::{DateTime, Utc};
use chrono_tz::{America::Nuuk, Europe::London, Pacific::Apia, Tz, UTC};
use engine::schedule::{Timetable, timetable};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a moment")
}

/// What comes in these hours, as day and time of UTC.
fn comes(line: &str, zone: Tz, from: &str, hours: i64) -> Vec<String> {
    let timetable = Timetable::new(line, zone).unwrap_or_else(|error| panic!("{error}"));
    let from = at(from);
    let found = timetable.between(from - chrono::TimeDelta::milliseconds(1), from + chrono::TimeDelta::hours(hours));
    found.map(|moment| moment.format("%dT%H:%M").to_string()).collect()
}

#[test]
fn an_occurrence_is_due_from_its_very_second_on() {
    let timetable = Timetable::new("17 * * * *", London).expect("it parses");
    let now = at("2026-01-10T12:17:00Z");
    assert_eq!(timetable.latest(now), Some(now));
    assert_eq!(timetable.latest(now - chrono::TimeDelta::milliseconds(1)), Some(now - chrono::TimeDelta::hours(1)));
    assert_eq!(timetable.after(now - chrono::TimeDelta::milliseconds(1)), Some(now));
    assert_eq!(timetable.after(now), Some(now + chrono::TimeDelta::hours(1)));
}

#[test]
fn summer_time_is_respected() {
    assert_eq!(comes("0 6 * * *", London, "2026-07-01T00:00:00Z", 24), ["01T05:00"]);
    assert_eq!(comes("0 6 * * *", London, "2026-01-01T00:00:00Z", 24), ["01T06:00"]);
}

#[test]
fn a_time_that_does_not_exist_runs_once_right_after() {
    assert_eq!(comes("30 1 * * *", London, "2026-03-28T00:00:00Z", 72), ["28T01:30", "29T01:00", "30T00:30"]);
    assert_eq!(comes("0,20,40 1 * * *", London, "2026-03-29T00:00:00Z", 20), ["29T01:00"], "three times of one gap are one");
    assert_eq!(comes("0 1,2 * * *", London, "2026-03-29T00:00:00Z", 20), ["29T01:00"], "the end of the gap is 02:00 itself");
}

#[test]
fn a_time_that_does_not_exist_runs_even_when_its_day_is_over() {
    // In Nuuk the last hour of Saturday 28 March 2026 is left out.
    assert_eq!(comes("30 23 * * SAT", Nuuk, "2026-03-28T12:00:00Z", 24), ["29T01:00"]);
    // In Apia Friday 30 December 2011 was left out.
    assert_eq!(comes("0 9 30 12 *", Apia, "2011-12-29T12:00:00Z", 48), ["30T10:00"]);
}

#[test]
fn a_time_of_day_that_comes_twice_runs_once() {
    assert_eq!(comes("30 1 * * *", London, "2026-10-24T00:00:00Z", 72), ["24T00:30", "25T00:30", "26T01:30"]);
    assert_eq!(comes("*/30 1-2 * * *", London, "2026-10-25T00:00:00Z", 5), ["25T00:00", "25T00:30", "25T02:00", "25T02:30"]);
}

#[test]
fn an_hourly_line_runs_in_every_hour_there_is() {
    assert_eq!(comes("17 * * * *", London, "2026-10-25T00:00:00Z", 3), ["25T00:17", "25T01:17", "25T02:17"]);
    assert_eq!(comes("17 * * * *", London, "2026-03-29T00:00:00Z", 3), ["29T00:17", "29T01:17", "29T02:17"]);
}

#[test]
fn a_line_of_six_fields_begins_with_the_second() {
    let timetable = Timetable::new("*/20 * * * * *", UTC).expect("it parses");
    let found: Vec<_> =
        timetable.between(at("2026-01-01T00:00:00Z"), at("2026-01-01T00:01:00Z")).map(|moment| moment.timestamp() % 60).collect();
    assert_eq!(found, [20, 40, 0]);
}

#[test]
fn the_newest_come_in_order_and_say_whether_there_are_older_ones() {
    let timetable = Timetable::new("0 * * * *", UTC).expect("it parses");
    let (from, until) = (at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:00Z"));
    let hours = |most| {
        let (found, older) = timetable.newest(from, until, most);
        (found.iter().map(|moment| moment.format("%H").to_string()).collect::<Vec<_>>(), older)
    };
    assert_eq!(hours(2), (vec!["23".into(), "00".into()], true));
    assert_eq!((hours(24).0.len(), hours(24).1), (24, false));
    assert_eq!(timetable.newest(until, until, 5), (Vec::new(), false));
    let leap = Timetable::new("0 0 29 2 *", UTC).expect("it parses");
    assert_eq!(leap.latest(at("2026-01-01T00:00:00Z")), Some(at("2024-02-29T00:00:00Z")));
}

#[test]
fn a_line_that_says_no_time_is_refused_with_a_sentence() {
    let refused = |line: &str| Timetable::new(line, UTC).expect_err(line).to_string();
    let fields = "Five fields are expected: minute, hour, day of the month, month, day of the week; six begin with the second";
    assert_eq!(refused("61 * * * *"), format!("`61 * * * *` is no cron line: Number out of bounds. {fields}"));
    assert_eq!(refused(""), format!("`` is no cron line: it is empty. {fields}"));
    assert_eq!(refused("0 0 31 2 *"), "`0 0 31 2 *` never comes: no date has that day, month and weekday");
    for line in ["* * * *", "0 0 0 1 1 * 2030", "*/0 * * * *", "a b c d e", "@reboot", "0 0 * * 8", &"1".repeat(5000)] {
        let sentence = refused(line);
        assert!(sentence.ends_with(fields) && sentence.len() < 500, "{sentence}");
    }
}

#[test]
fn a_zone_that_is_none_is_refused_with_the_one_that_was_meant() {
    let refused = |name: &str| timetable::zone(name).expect_err(name).to_string();
    assert_eq!(refused("europe/london"), "there is no time zone `europe/london`: did you mean Europe/London?");
    assert_eq!(refused("New York"), "there is no time zone `New York`: did you mean America/New_York?");
    assert_eq!(refused("Mars"), "there is no time zone `Mars`: IANA names look like Europe/London, and are exact to the letter");
}
