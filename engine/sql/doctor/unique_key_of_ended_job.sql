-- Unique keys held by a job that has ended, or that does not exist: nobody else can ever have them.
-- Reads unique_key; attempt and job by key. Caller: store/doctor.rs
with stuck as materialized (
    select u.job_id, u.kind, u.key, 'has ended' as why from engine.unique_key u
    where exists (select from engine.attempt a where a.job_id = u.job_id and a.outcome in ('completed', 'cancelled', 'dead'))
    union all
    select u.job_id, u.kind, u.key, 'does not exist' from engine.unique_key u
    where not exists (select from engine.job j where j.id = u.job_id)
)
select job_id, format('holds unique key %s of kind %s and %s', key, kind, why) as detail
from stuck
order by job_id
limit 100
