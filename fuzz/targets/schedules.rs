//! Cron lines on the wall clocks of zones.

use chrono::{DateTime, Offset, TimeDelta, Timelike, Utc};
use engine::schedule::Timetable;

use crate::{Seen, Target, Verdict, input::texts, judge_words, promise};

/// A line, a zone, and seconds since 1970.
pub const LINE: Target = Target {
    name: "cron_line",
    promise: "what is taken comes later than it was asked for, in order, in a minute and an hour that the line names, and not too late",
    words: &[
        "*",
        "*/5",
        "0-30/7",
        "1,2",
        "L",
        "W",
        "#2",
        "MON",
        "JAN",
        "?",
        "30 2 * * *",
        "@daily",
        "0 0 29 2 *",
        "Europe/London",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "America/Nuuk",
        "UTC",
        "60",
        "1729994400",
        "1774746000",
        "15LW",
    ],
    check,
};

fn check(input: &[u8]) -> Verdict {
    let [line, zone, moment] = texts(input);
    let timetable = match Timetable::parse(line.trim_end_matches('\n'), zone.trim()) {
        Ok(timetable) => timetable,
        Err(refusal) => {
            // Lines come from settings and are shown as they are, so only what is around them is judged.
            judge_words(&refusal.to_string().replace(char::is_control, " "))?;
            return Ok(Seen::refused(&refusal.to_string()));
        }
    };
    let seconds = moment.trim().parse::<i64>().unwrap_or(1_774_746_000).clamp(0, 4_000_000_000);
    let begin = DateTime::<Utc>::from_timestamp(seconds, 0).ok_or("the moment is none")?;
    let mut last = begin;
    let mut shape = 0;
    for _ in 0..3 {
        let Some(next) = timetable.after(last) else { return Ok(Seen::refused("never again")) };
        promise(next > last, || format!("after {last} comes {next}"))?;
        let between = timetable.after(last + (next - last) / 2);
        promise(between == Some(next), || format!("after {last} comes {next}, and from half way there {between:?}"))?;
        promise(next - last < TimeDelta::days(366 * 400), || format!("after {last} it comes in {next}"))?;
        let wall = next.with_timezone(&timetable.zone());
        promise(wall.nanosecond() == 0, || format!("it comes at {wall}"))?;
        let plain: Vec<&str> = line.split_whitespace().collect();
        if let ([minute, hour, ..], true) = (&plain[..], plain.len() == 5) {
            // Where clocks change a time of the day comes at another.
            let named = |field: &str, value: u32| field.parse::<u32>().ok().is_none_or(|named| named == value);
            let offset = |at: DateTime<Utc>| at.with_timezone(&timetable.zone()).offset().fix();
            let is_plain = offset(next - TimeDelta::days(1)) == offset(next + TimeDelta::days(1));
            promise(!is_plain || (named(minute, wall.minute()) && named(hour, wall.hour())), || format!("`{line}` comes at {wall}"))?;
        }
        let days = (next - last).num_days();
        shape = shape * 4 + [0, 1, 7].iter().filter(|limit| days > **limit).count();
        last = next;
    }
    let (newest, _) = timetable.newest(begin, last, 2);
    promise(newest.last() == Some(&last), || format!("the newest up to {last} are {newest:?}"))?;
    Ok(Seen::taken(format_args!("{shape} {}", line.split_whitespace().count())))
}
