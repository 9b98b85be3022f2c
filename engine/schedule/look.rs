//! One look of the leader: what is due of all schedules, an occurrence of each at a time, so that none waits for another
//! that is far behind or slow.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
    vec,
};

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::{
    Schedule, Settings,
    fire::{Dealt, FireError, Hand},
    plan::{self, Due},
    scheduler::Counts,
};
use crate::{
    planted::planted,
    store::{leader::Lead, schedule, schedule::Row},
};

/// What holds for a whole look.
pub(super) struct Look<'a> {
    pub pool: &'a PgPool,
    pub lead: &'a Lead,
    pub now: DateTime<Utc>,
    /// How late an occurrence may be fired before it counts as missed.
    pub grace: Duration,
}

/// What is left of a schedule in a look.
struct Line<'a> {
    schedule: &'a Schedule,
    row: &'a Row,
    settings: Settings,
    /// `None` before its first turn.
    due: Option<vec::IntoIter<Due>>,
}

impl Look<'_> {
    /// Deals with what is due of these schedules, those that are furthest behind first. Once it is `until` the rest is left, after
    /// one occurrence at least.
    ///
    /// # Errors
    /// The database's, when it cannot be asked at all.
    pub async fn deal_with(&self, mut schedules: Vec<(&Schedule, &Row)>, until: Instant) -> Result<Counts, sqlx::Error> {
        schedules.sort_by_key(|(_, row)| row.done_to);
        let line = |(schedule, row)| Line { schedule, row, settings: Settings::in_force(schedule, Some(row)), due: None };
        let mut lines: VecDeque<Line<'_>> = schedules.into_iter().map(line).collect();
        let mut counts = Counts { leads: true, ..Counts::default() };
        while let Some(mut line) = lines.pop_front() {
            if !self.take_turn(&mut line, &mut counts).await? {
                continue;
            }
            lines.push_back(line);
            if Instant::now() >= until {
                counts.behind = true;
                break;
            }
        }
        Ok(counts)
    }

    /// Deals with one occurrence; whether there was one. What is wrong with the schedule is noted and keeps none of the others.
    async fn take_turn(&self, line: &mut Line<'_>, counts: &mut Counts) -> Result<bool, sqlx::Error> {
        let problem = match self.deal_with_next(line, counts).await {
            Ok(true) => return Ok(true),
            Ok(false) => None,
            Err(FireError::Database(error)) if error.as_database_error().is_none() => return Err(error),
            Err(error) => Some(error.to_string()),
        };
        counts.failed += usize::from(problem.is_some());
        if problem != line.row.problem {
            if let Some(problem) = &problem {
                tracing::error!(schedule = line.schedule.name, problem, "this schedule cannot fire");
            }
            schedule::note_problem(self.pool, line.schedule.name, problem.as_deref()).await?;
        }
        Ok(false)
    }

    async fn deal_with_next(&self, line: &mut Line<'_>, counts: &mut Counts) -> Result<bool, FireError> {
        let Line { schedule, row, settings, due } = line;
        let hand = Hand { pool: self.pool, lead: self.lead, schedule, settings, edits: row.edits };
        if due.is_none() {
            *due = Some(self.plan(&hand, row, counts).await?.into_iter());
        }
        let Some(next) = due.as_mut().and_then(Iterator::next) else { return Ok(false) };
        let dealt = hand.deal(next).await?;
        if dealt == Dealt::Undone {
            return Ok(false);
        }
        tracing::info!(schedule = schedule.name, occurrence = %next.at, ?dealt, "dealt with an occurrence");
        counts.add(dealt);
        Ok(true)
    }

    /// What is due of a schedule, after what waits has been released and a clock that was set back has been followed.
    async fn plan(&self, hand: &Hand<'_>, row: &Row, counts: &mut Counts) -> Result<Vec<Due>, FireError> {
        let timetable = hand.settings.timetable()?;
        if hand.settings.paused {
            return Ok(Vec::new());
        }
        let now = self.now + if planted!("a schedule fires before its time") { Duration::from_secs(2) } else { Duration::ZERO };
        if row.done_to > now {
            hand.follow_the_clock(now).await?;
        }
        if row.buffered.is_some() {
            counts.add(hand.release_buffered().await?);
        }
        let due = plan::due(&timetable, row.done_to.min(now), now, self.grace, hand.settings.misfire);
        counts.behind |= due.len() >= plan::A_LOOK;
        Ok(due)
    }
}
