-- The schedules of names $1: what operators changed, and how far each has been dealt with.
-- Caller: store/schedule.rs
select name, done_to, buffered, problem, paused, cron, zone, misfire, overlap, jitter_s, changed_at, changed_by, reason, edits
from engine.schedule where name = any ($1)
order by name
