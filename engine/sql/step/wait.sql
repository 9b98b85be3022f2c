-- Keep that workflow $1 waits at its step $2, in attempt $3, for event $4 of key $5; it gives up after $6 ms, or never.
-- Locks: its own new row; the attempt's fence keeps others out. Caller: store/step.rs
insert into engine.step (job_id, position, attempt, kind, name, key, begun_at, until)
select $1, $2, $3, 'wait', $4, $5, at, at + least($6, 315360000000) * interval '1 millisecond'
from (select engine.now() as at) clock
returning until
