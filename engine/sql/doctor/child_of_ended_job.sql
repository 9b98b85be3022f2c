-- Children that have ended and are open to their parents, who would wait for ever; and children that do not exist.
-- Reads child; attempt and job by key. Caller: store/doctor.rs
with closed as materialized (
    select c.job_id, c.parent_id, 'has ended' as why from engine.child c
    where exists (select from engine.attempt a where a.job_id = c.job_id and a.outcome in ('completed', 'cancelled', 'dead'))
    union all
    select c.job_id, c.parent_id, 'does not exist' from engine.child c
    where not exists (select from engine.job j where j.id = c.job_id)
)
select job_id, format('is an open child of workflow %s, and %s', parent_id, why) as detail
from closed
order by job_id
limit 100
