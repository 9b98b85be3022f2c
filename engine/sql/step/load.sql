-- All that workflow $1 has done, in order.
-- Index: step_pkey. Caller: store/step.rs
select position, attempt, kind, name, ended_at is not null as ended, until, key, event_id, result::text as result
from engine.step where job_id = $1
order by position
