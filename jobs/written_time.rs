//! Times as other houses write them, judged before the database reads them.

use chrono::{DateTime, NaiveDateTime};

/// Farther from UTC PostgreSQL knows no zone, in seconds.
const FARTHEST_ZONE: i32 = 16 * 3600;

/// Whether a text is a moment of this century: with a zone as in RFC 3339, or by one of these forms without one.
///
/// The date must have four, two and two digits. chrono takes years of any length and `26-3-9` for the year 26; PostgreSQL reads
/// the one as an error and the other as another day.
pub(crate) fn is_moment(text: &str, local_forms: &[&str]) -> bool {
    let is_zoned = || DateTime::parse_from_rfc3339(text).is_ok_and(|time| time.offset().local_minus_utc().abs() < FARTHEST_ZONE);
    is_dated(text) && (is_zoned() || local_forms.iter().any(|form| NaiveDateTime::parse_from_str(text, form).is_ok()))
}

fn is_dated(text: &str) -> bool {
    let Some(date) = text.as_bytes().first_chunk::<10>() else { return false };
    let has_form = date.iter().enumerate().all(|(at, byte)| if matches!(at, 4 | 7) { *byte == b'-' } else { byte.is_ascii_digit() });
    has_form && date.starts_with(b"20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_database_reads_as_the_same_is_a_moment() {
        let form = ["%Y-%m-%d %H:%M:%S"];
        for moment in ["2026-03-29 01:30:00", "2026-03-29T01:30:00Z", "2026-03-29T01:30:00.123+15:59", "2099-12-31 23:59:59"] {
            assert!(is_moment(moment, &form), "{moment}");
        }
        for other in [
            "",
            "2026-03-29",
            "26-3-9 01:30:00",
            "2026-3-29 01:30:00",
            "+262000-01-01 00:00:00",
            "-0001-01-01 00:00:00",
            "1999-12-31 23:59:59",
            "2100-01-01 00:00:00",
            "2026-02-30 00:00:00",
            "2026-03-29T01:30:00+16:00",
            "2026-03-29T01:30:00+23:59",
            " 2026-03-29 01:30:00",
        ] {
            assert!(!is_moment(other, &form), "{other}");
        }
    }
}
