-- Requests to cancel a job that has ended, or that does not exist. Reads cancel_request; attempt and job by key.
-- Caller: store/doctor.rs
with idle as materialized (
    select r.job_id, 'has ended' as why from engine.cancel_request r
    where exists (select from engine.attempt a where a.job_id = r.job_id and a.outcome in ('completed', 'cancelled', 'dead'))
    union all
    select r.job_id, 'does not exist' from engine.cancel_request r
    where not exists (select from engine.job j where j.id = r.job_id)
)
select job_id, format('a request to cancel it stands, and the job %s', why) as detail
from idle
order by job_id
limit 100
