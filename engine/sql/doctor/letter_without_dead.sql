-- The engine's dead letters whose job did not die. Those of jobs whose partition was retired cannot be checked.
-- Scans dead_letter_queue; job and attempt by key. Caller: store/doctor.rs
with odd as materialized (
    select d.id, d.job_id from engine.dead_letter_queue d
    where d.source = 'engine'
      and (d.job_id is null
           or (exists (select from engine.job j where j.id = d.job_id)
               and not exists (select from engine.attempt a where a.job_id = d.job_id and a.outcome = 'dead')))
)
select job_id,
    case when job_id is null then format('dead letter %s is the engine''s and names no job', id)
         else format('has dead letter %s and no attempt that ended as dead', id) end as detail
from odd
order by job_id, id
limit 100
