-- Change schedule $1 as operator $2 wants, for reason $3: paused $4, line $5, zone $6, misfire $7, overlap $8, jitter $9.
-- Occurrences count from now on when $10 says so: what was due by the old times, or while it was paused, is not missed.
-- Caller: store/schedule.rs
update engine.schedule
set paused = $4, cron = $5, zone = $6, misfire = $7, overlap = $8, jitter_s = $9,
    changed_at = c.at, changed_by = $2, reason = $3, edits = edits + 1, problem = null,
    done_to = case when $10 then greatest(done_to, c.at) else done_to end,
    buffered = case when $10 then null else buffered end
from (select engine.now() as at) c
where name = $1
