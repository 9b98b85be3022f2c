-- Lock schedule $1 for an act on it.
-- Locks: its row. Caller: store/schedule.rs
select name, done_to, buffered, problem, paused, cron, zone, misfire, overlap, jitter_s, changed_at, changed_by, reason, edits
from engine.schedule where name = $1
for update
