//! What the other side asks for with `Retry-After`: how much of it is believed, and how it is spread.

use std::time::Duration;

/// The longest wait that the other side may ask for: a day. Whoever asks for more is asked again after it.
pub const ASKED_AT_MOST: Duration = Duration::from_hours(24);
/// Who was told to wait comes back up to a tenth of his wait later, and up to this.
const SPREAD_AT_MOST: Duration = Duration::from_secs(30);

/// For how many milliseconds a job waits that was told to wait: for none less, and longer by a part of the spread that is drawn from
/// 0..1, so that a thousand that were told the same do not come back in one instant.
pub(crate) fn spread_ms(asked_ms: i64, drawn: f64) -> i64 {
    let asked_ms = asked_ms.clamp(0, ASKED_AT_MOST.as_millis() as i64);
    let spread_ms = (asked_ms / 10).min(SPREAD_AT_MOST.as_millis() as i64);
    asked_ms + (spread_ms as f64 * drawn) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    #[test]
    fn a_wait_is_never_shorter_than_asked_and_at_most_a_tenth_or_half_a_minute_longer() {
        for (asked_ms, longest_ms) in [(0, 0), (9, 9), (1000, 1100), (60_000, 66_000), (300_000, 330_000), (600_000, 630_000)] {
            assert_eq!((spread_ms(asked_ms, 0.0), spread_ms(asked_ms, 1.0)), (asked_ms, longest_ms));
        }
        assert_eq!(spread_ms(60_000, 0.5), 63_000);
    }

    #[test]
    fn of_a_wait_a_day_is_believed_and_one_that_is_over_is_none() {
        for asked_ms in [DAY_MS, DAY_MS + 1, i64::MAX] {
            assert_eq!((spread_ms(asked_ms, 0.0), spread_ms(asked_ms, 1.0)), (DAY_MS, DAY_MS + 30_000));
        }
        assert_eq!((spread_ms(-1, 1.0), spread_ms(i64::MIN, 1.0)), (0, 0));
    }
}
