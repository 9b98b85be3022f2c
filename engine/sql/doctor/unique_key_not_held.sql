-- Live jobs with a unique key that they do not hold: a second job with the key could be made. Scans job.
-- One that a newer job of the key came after is right not to hold it.
-- Caller: store/doctor.rs
with bare as materialized (
    select j.id, l.kind, j.unique_key from engine.job j
    join engine.lane l on l.id = j.lane_id
    where j.unique_key is not null
      and not exists (select from engine.unique_key u where u.job_id = j.id and u.key = j.unique_key)
      and not exists (select from engine.attempt a where a.job_id = j.id and a.outcome in ('completed', 'cancelled', 'dead'))
)
select b.id as job_id, format('is alive and does not hold its unique key %s', b.unique_key) as detail
from bare b
where not exists (
    select from engine.job n join engine.lane l on l.id = n.lane_id
    where n.unique_key = b.unique_key and l.kind = b.kind and n.id > b.id)
order by b.id
limit 100
