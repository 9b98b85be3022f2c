-- What undoes the steps of workflow $1 and has not been done, the last one first.
-- Index: compensation_pkey. Caller: store/compensation.rs
select position, n, queue, kind, priority, args::text as args, max_attempts, limit_key
from engine.compensation where job_id = $1 and undone_at is null
order by position desc, n desc
