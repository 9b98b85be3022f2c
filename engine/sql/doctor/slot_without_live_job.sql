-- Slots whose job has ended, does not exist, or waits for a slot: they hold up the others of their key for ever.
-- Reads slot; attempt, job and waiting by key. Caller: store/doctor.rs
with stuck as materialized (
    select s.job_id, s.limit_key, s.n, 'has ended' as why from engine.slot s
    where exists (select from engine.attempt a where a.job_id = s.job_id and a.outcome in ('completed', 'cancelled', 'dead'))
    union all
    select s.job_id, s.limit_key, s.n, 'does not exist' from engine.slot s
    where not exists (select from engine.job j where j.id = s.job_id)
    union all
    select s.job_id, s.limit_key, s.n, 'waits for one' from engine.slot s
    join engine.waiting w on w.job_id = s.job_id
)
select job_id, format('holds slot %s of limit key %s and %s', n, limit_key, why) as detail
from stuck
order by job_id, why
limit 100
