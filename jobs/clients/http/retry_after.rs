//! `Retry-After`: seconds or a date, and never for ever.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The longest wait that is believed: an hour. Whoever asks for more is asked again after it.
pub const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// How long the other side asked to be left alone, if it said so in a way that can be read.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<f64>() {
        Ok(seconds) if seconds >= 0.0 => Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_WAIT),
        Ok(_) => return None,
        // A date that has passed means now.
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> Option<Duration> {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().expect("a value"))]);
        // 1994-11-06 08:49:37 UTC.
        retry_after(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777))
    }

    #[test]
    fn seconds_and_dates_are_read_and_capped() {
        assert_eq!(read("30"), Some(Duration::from_secs(30)));
        assert_eq!(read(" 1.5 "), Some(Duration::from_millis(1500)));
        assert_eq!(read("0"), Some(Duration::ZERO));
        assert_eq!(read("Sun, 06 Nov 1994 08:50:07 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:07 GMT"), Some(Duration::ZERO), "a date that has passed");
        assert_eq!(read("86400"), Some(LONGEST_WAIT));
        assert_eq!(read("1e300"), Some(LONGEST_WAIT));
        assert_eq!(read("inf"), Some(LONGEST_WAIT));
        assert_eq!(read("Fri, 31 Dec 9999 23:59:59 GMT"), Some(LONGEST_WAIT));
    }

    #[test]
    fn nonsense_is_no_wait() {
        for text in ["", "soon", "-5", "NaN", "30 s", "Sun, 99 Foo 1994"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::now()), None);
    }
}
