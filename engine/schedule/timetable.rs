//! When a cron line comes by the wall clock of a zone.
//!
//! **The rule when clocks change.** A line whose hour field admits every hour, such as `17 * * * *`, follows the hours
//! that there are: it comes in both hours when one is repeated, and not in an hour that is left out. Every other line
//! names times of the day, and each of them comes once: one that does not exist comes right after, at the first moment
//! that does exist, and one that occurs twice comes at its first coming. Times that fall on one moment come once.
//!
//! croner reads the line and finds matches on a clock without a zone; the rule is kept here, because croner itself drops
//! a time of day that is left out when the day is over after the gap.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::{GapInfo, TZ_VARIANTS, Tz};
use croner::{
    Cron,
    errors::CronError,
    parser::{CronParser, Year},
};

/// The longest line that is read.
const LINE_LIMIT: usize = 200;
/// How far [`Timetable::newest`] looks back at most: a line for 29 February comes within eight years.
const FURTHEST_BACK: TimeDelta = TimeDelta::days(4000);

/// A line or a zone that says no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimetableError {
    /// The line does not parse.
    #[error(
        "`{0}` is no cron line: {1}. Five fields are expected: minute, hour, day of the month, month, day of the week; six begin with the second"
    )]
    Line(String, String),
    /// The line parses, and no such time ever comes.
    #[error("`{0}` never comes: no date has that day, month and weekday")]
    Never(String),
    /// There is no such zone.
    #[error("there is no time zone `{0}`: {1}")]
    Zone(String, String),
}

/// A cron line on the wall clock of a zone.
///
/// ```
/// use chrono::{DateTime, Utc};
/// use engine::schedule::Timetable;
///
/// let timetable = Timetable::parse("30 6 * * MON-FRI", "Europe/London")?;
/// // From a Friday of winter to the Monday after it, in summer time.
/// let friday: DateTime<Utc> = "2026-03-27T12:00:00Z".parse()?;
/// let monday: DateTime<Utc> = "2026-03-30T05:30:00Z".parse()?;
/// assert_eq!(timetable.after(friday), Some(monday));
/// assert_eq!(timetable.latest(friday), Some("2026-03-27T06:30:00Z".parse::<DateTime<Utc>>()?));
///
/// let refused = Timetable::parse("30 6 31 2 *", "Europe/London").expect_err("February has no such day");
/// assert_eq!(refused.to_string(), "`30 6 31 2 *` never comes: no date has that day, month and weekday");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Timetable {
    cron: Cron,
    zone: Tz,
    every_hour: bool,
}

impl Timetable {
    /// Reads a line: minute, hour, day of the month, month, day of the week, and a second before them if there are six.
    ///
    /// # Errors
    /// When it does not parse, or never comes.
    pub fn new(line: &str, zone: Tz) -> Result<Self, TimetableError> {
        let refused = |reason: String| TimetableError::Line(line.chars().take(LINE_LIMIT).collect(), reason);
        if line.len() > LINE_LIMIT {
            return Err(refused(format!("it is longer than {LINE_LIMIT} characters")));
        }
        let cron = CronParser::builder().year(Year::Disallowed).build().parse(line).map_err(|error| refused(reason(&error)))?;
        let hours: Result<Vec<bool>, CronError> = (0..24).map(|hour| cron.pattern.hour_match(hour)).collect();
        let every_hour = hours.map_err(|error| refused(reason(&error)))?.into_iter().all(|admitted| admitted);
        let timetable = Self { cron, zone, every_hour };
        match timetable.after(DateTime::UNIX_EPOCH) {
            Some(_) => Ok(timetable),
            None => Err(TimetableError::Never(line.to_string())),
        }
    }

    /// Reads a line and the IANA name of a zone.
    ///
    /// # Errors
    /// When either says nothing.
    pub fn parse(line: &str, zone: &str) -> Result<Self, TimetableError> {
        Self::new(line, self::zone(zone)?)
    }

    /// Whose wall clock it goes by.
    pub const fn zone(&self) -> Tz {
        self.zone
    }

    /// The first occurrence after a moment; `None` when there is none for thousands of years.
    pub fn after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let wall = moment.with_timezone(&self.zone).naive_local();
        let first = self.matches(wall).filter_map(|wall| self.coming(wall)).find(|occurrence| *occurrence > moment);
        if !self.every_hour {
            return first;
        }
        let Some((first_pass, second_pass)) = self.passes(wall) else { return first };
        // The matches of a repeated hour come once more. On its first pass those before `wall` do, too.
        let from = if moment < second_pass { wall - (second_pass - first_pass) } else { wall };
        let mut repeated =
            self.matches(from).map(|again| (again, self.passes(again))).take_while(|(again, passes)| *again <= wall || passes.is_some());
        let again = repeated.find_map(|(_, passes)| passes.map(|(_, second)| second).filter(|second| *second > moment));
        first.into_iter().chain(again).min()
    }

    /// The occurrences after one moment and up to another, in order.
    pub fn between(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
        std::iter::successors(self.after(after), |last| self.after(*last)).take_while(move |occurrence| *occurrence <= until)
    }

    /// The newest occurrences after one moment and up to another, in order, at most `most`; and whether there are older ones.
    pub fn newest(&self, after: DateTime<Utc>, until: DateTime<Utc>, most: usize) -> (Vec<DateTime<Utc>>, bool) {
        let after = after.max(until - FURTHEST_BACK);
        let mut span = TimeDelta::minutes(1);
        loop {
            let from = after.max(until - span);
            let mut found: Vec<_> = self.between(from, until).collect();
            if found.len() > most || from == after {
                let older = found.len().saturating_sub(most);
                return (found.split_off(older), older > 0);
            }
            span = span * 4;
        }
    }

    /// The latest occurrence at or before a moment.
    pub fn latest(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.newest(now - FURTHEST_BACK, now, 1).0.pop()
    }

    /// The times of the wall clock that the line names, from `wall` on.
    fn matches(&self, wall: NaiveDateTime) -> impl Iterator<Item = NaiveDateTime> {
        let next = |wall: &NaiveDateTime, inclusive| self.cron.find_next_occurrence(wall, inclusive).ok();
        std::iter::successors(next(&wall, true), move |last| next(last, false))
    }

    /// The moment at which a time of the wall clock first comes; `None` when it is left out and not made up for.
    fn coming(&self, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
        let moment = match self.zone.from_local_datetime(&wall) {
            MappedLocalTime::Single(moment) | MappedLocalTime::Ambiguous(moment, _) => moment,
            MappedLocalTime::None if self.every_hour => return None,
            MappedLocalTime::None => GapInfo::new(&wall, &self.zone)?.end?,
        };
        Some(moment.with_timezone(&Utc))
    }

    /// Both moments of a time of the wall clock that occurs twice.
    fn passes(&self, wall: NaiveDateTime) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        match self.zone.from_local_datetime(&wall) {
            MappedLocalTime::Ambiguous(first, second) => Some((first.with_timezone(&Utc), second.with_timezone(&Utc))),
            _ => None,
        }
    }
}

/// The zone of an IANA name, such as Europe/London.
///
/// # Errors
/// When there is none; names one that was probably meant.
pub fn zone(name: &str) -> Result<Tz, TimetableError> {
    name.parse().map_err(|_| {
        let wanted = name.trim().replace(' ', "_").to_lowercase();
        let alike = |zone: &&Tz| zone.name().to_lowercase() == wanted || zone.name().to_lowercase().rsplit('/').next() == Some(&wanted);
        let hint = match TZ_VARIANTS.iter().find(alike) {
            Some(zone) => format!("did you mean {zone}?"),
            None => "IANA names look like Europe/London, and are exact to the letter".to_string(),
        };
        TimetableError::Zone(name.chars().take(LINE_LIMIT).collect(), hint)
    })
}

/// What croner says of a line, as part of a sentence.
fn reason(error: &CronError) -> String {
    let text = match error {
        CronError::EmptyPattern => "it is empty".to_string(),
        CronError::InvalidPattern(text) | CronError::IllegalCharacters(text) | CronError::ComponentError(text) => text.clone(),
        other => other.to_string(),
    };
    text.trim_end_matches('.').to_string()
}
