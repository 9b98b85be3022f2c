-- Keep that workflow $1 has done its step $2, in attempt $3: kind $4, name $5, began $6 microseconds ago, result $7.
-- Locks: its own new row; the attempt's fence keeps others out. Caller: store/step.rs
insert into engine.step (job_id, position, attempt, kind, name, begun_at, ended_at, result)
select $1, $2, $3, $4, $5, at - $6 * interval '1 microsecond', at, $7
from (select engine.now() as at) clock
