-- Keep that workflow $1 sleeps at its step $2, in attempt $3, under the name $4: for $5 ms, or until $6. Returns until when.
-- Locks: its own new row; the attempt's fence keeps others out. Caller: store/step.rs
insert into engine.step (job_id, position, attempt, kind, name, begun_at, until)
select $1, $2, $3, 'sleep', $4, at,
    -- Ten years at most, so that it stays a date.
    least(coalesce($6, at + least($5, 315360000000) * interval '1 millisecond'), at + interval '3650 days')
from (select engine.now() as at) clock
returning until
