//! The shop's clock: whole seconds, written with London's offset.

use chrono::{DateTime, Datelike, Duration, FixedOffset, NaiveDate, TimeZone, Utc};

/// The moment as the shop writes it.
pub fn in_london(moment: DateTime<Utc>) -> DateTime<FixedOffset> {
    let summer = moment >= change(moment.year(), 3) && moment < change(moment.year(), 10);
    let offset = FixedOffset::east_opt(if summer { 3_600 } else { 0 }).expect("an hour is a valid offset");
    offset.from_utc_datetime(&moment.naive_utc())
}

/// British clocks change on the last Sunday of March and October, at one
/// o'clock UTC.
fn change(year: i32, month: u32) -> DateTime<Utc> {
    let last = NaiveDate::from_ymd_opt(year, month, 31).expect("both months have 31 days");
    let back = last.weekday().num_days_from_sunday();
    (last - Duration::days(back.into())).and_hms_opt(1, 0, 0).expect("one o'clock exists").and_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_change_when_british_clocks_do() {
        let written = |text: &str| {
            let moment: DateTime<Utc> = text.parse().expect("a moment");
            in_london(moment).to_rfc3339()
        };
        assert_eq!(written("2026-03-29T00:59:59Z"), "2026-03-29T00:59:59+00:00");
        assert_eq!(written("2026-03-29T01:00:00Z"), "2026-03-29T02:00:00+01:00");
        assert_eq!(written("2026-10-25T00:59:59Z"), "2026-10-25T01:59:59+01:00");
        assert_eq!(written("2026-10-25T01:00:00Z"), "2026-10-25T01:00:00+00:00");
        assert_eq!(written("2026-12-24T18:00:00Z"), "2026-12-24T18:00:00+00:00");
    }
}
