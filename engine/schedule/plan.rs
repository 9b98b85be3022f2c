//! What is due of one schedule: which occurrences to fire, and which to let go.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Misfire, Timetable};

/// The most occurrences that one look fires of one schedule, so that none waits long for another that is far behind; the next look goes
/// on.
pub(super) const A_LOOK: usize = 10;

/// One occurrence to deal with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub at: DateTime<Utc>,
    pub what: What,
}

/// What to do about an occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// It is on time.
    Fire,
    /// It was missed and is made good; `older` says that occurrences before it were let go.
    MakeGood { older: bool },
    /// It was missed and is let go; `older` says that others before it were, too.
    LetGo { older: bool },
}

/// What is due at `now`, in order, when everything up to `done_to` has been dealt with.
pub(super) fn due(timetable: &Timetable, done_to: DateTime<Utc>, now: DateTime<Utc>, grace: Duration, misfire: Misfire) -> Vec<Due> {
    // An occurrence as old as the grace is still on time.
    let on_time_from = (now - grace - Duration::from_nanos(1)).max(done_to);
    let on_time: Vec<DateTime<Utc>> = timetable.between(on_time_from, now).take(A_LOOK).collect();
    let mut due = missed(timetable, done_to, on_time_from, misfire, on_time.is_empty());
    due.extend(on_time.into_iter().map(|at| Due { at, what: What::Fire }));
    due.truncate(A_LOOK);
    due
}

fn missed(timetable: &Timetable, after: DateTime<Utc>, until: DateTime<Utc>, misfire: Misfire, nothing_on_time: bool) -> Vec<Due> {
    if until <= after {
        return Vec::new();
    }
    let most = if let Misfire::All(most) = misfire { most } else { 1 };
    let (found, mut older) = timetable.newest(after, until, most);
    let made_good = match misfire {
        Misfire::Skip => false,
        Misfire::Latest => nothing_on_time,
        Misfire::All(_) => true,
    };
    let due = found.into_iter().map(|at| {
        let older = std::mem::take(&mut older);
        Due { at, what: if made_good { What::MakeGood { older } } else { What::LetGo { older } } }
    });
    due.collect()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use chrono_tz::UTC;

    use super::*;

    const GRACE: Duration = Duration::from_mins(1);

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-03-01T{text}Z").parse().expect("a moment")
    }

    fn plan(line: &str, done_to: &str, now: &str, misfire: Misfire) -> Vec<(String, What)> {
        let timetable = Timetable::new(line, UTC).expect("it parses");
        let due = due(&timetable, at(done_to), at(now), GRACE, misfire);
        due.into_iter().map(|due| (due.at.format("%H:%M:%S").to_string(), due.what)).collect()
    }

    fn fire(text: &str) -> (String, What) {
        (text.into(), What::Fire)
    }

    #[test]
    fn what_is_up_to_a_minute_late_is_on_time() {
        for misfire in [Misfire::Skip, Misfire::Latest, Misfire::All(3)] {
            assert_eq!(plan("17 * * * *", "11:17:00", "12:17:00", misfire), [fire("12:17:00")]);
            assert_eq!(plan("17 * * * *", "11:17:00", "12:18:00", misfire), [fire("12:17:00")]);
            assert_eq!(plan("17 * * * *", "12:17:00", "13:16:59", misfire), []);
            assert_eq!(plan("*/20 * * * * *", "11:00:00", "11:00:50", misfire), [fire("11:00:20"), fire("11:00:40")]);
        }
    }

    #[test]
    fn a_misfire_is_skipped_or_made_good_as_the_policy_says() {
        let late = |misfire| plan("17 * * * *", "08:17:00", "12:30:00", misfire);
        assert_eq!(late(Misfire::Skip), [("12:17:00".into(), What::LetGo { older: true })]);
        assert_eq!(late(Misfire::Latest), [("12:17:00".into(), What::MakeGood { older: true })]);
        let (last, older) = (What::MakeGood { older: false }, What::MakeGood { older: true });
        assert_eq!(late(Misfire::All(2)), [("11:17:00".into(), older), ("12:17:00".into(), last)]);
        assert_eq!(late(Misfire::All(4)).len(), 4);
        assert!(late(Misfire::All(9)).iter().all(|(_, what)| *what == last), "nothing was let go");
    }

    #[test]
    fn the_latest_is_the_one_on_time_if_there_is_one() {
        let (let_go, made_good) = (What::LetGo { older: true }, What::MakeGood { older: false });
        let late = |misfire| plan("*/10 * * * *", "11:20:00", "12:00:30", misfire);
        assert_eq!(late(Misfire::Latest), [("11:50:00".into(), let_go), fire("12:00:00")]);
        assert_eq!(late(Misfire::Skip), [("11:50:00".into(), let_go), fire("12:00:00")]);
        assert_eq!(late(Misfire::All(9))[2..], [("11:50:00".into(), made_good), fire("12:00:00")]);
    }

    #[test]
    fn one_look_fires_so_many_and_the_next_goes_on() {
        let timetable = Timetable::new("* * * * * *", UTC).expect("it parses");
        let (mut done_to, now, mut fired) = (at("10:00:00"), at("10:10:00"), 0);
        loop {
            let due = due(&timetable, done_to, now, GRACE, Misfire::All(1000));
            let Some(last) = due.last() else { break };
            assert!(due.len() <= A_LOOK && due[0].at == done_to + TimeDelta::seconds(1));
            fired += due.len();
            done_to = last.at;
        }
        assert_eq!((fired, done_to), (600, now));
    }
}
