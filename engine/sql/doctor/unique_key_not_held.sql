-- Live jobs with a unique key that they do not hold: a second job with the key could be made. Scans job.
-- Caller: store/doctor.rs
with bare as materialized (
    select j.id, j.unique_key from engine.job j
    where j.unique_key is not null
      and not exists (select from engine.unique_key u where u.job_id = j.id and u.key = j.unique_key)
      and not exists (select from engine.attempt a where a.job_id = j.id and a.outcome in ('completed', 'cancelled', 'dead'))
)
select id as job_id, format('is alive and does not hold its unique key %s', unique_key) as detail
from bare
order by id
limit 100
