-- Places that hold a job without a description: its arguments are gone. Scans every place and job.
-- Caller: store/doctor.rs
with place as materialized (
    select job_id, 'ready' as name from engine.ready
    union all
    select job_id, 'scheduled' from engine.scheduled
    union all
    select u.job_id, format('claim %s of worker %s', c.id, c.worker_id)
    from engine.claim c, unnest(c.ids, c.attempts) u (job_id, attempt)
    where not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt)
),
bare as materialized (
    select p.job_id, p.name from place p
    where not exists (select from engine.job j where j.id = p.job_id)
)
select job_id, format('stands in %s and has no row in engine.job', name) as detail
from bare
order by job_id, name
limit 100
