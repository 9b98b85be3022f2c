-- Places that hold a job without a description: its arguments are gone. Scans every place and job.
-- Caller: store/doctor.rs
with place as materialized (
    select job_id, name from engine.place
),
bare as materialized (
    select p.job_id, p.name from place p
    where not exists (select from engine.job j where j.id = p.job_id)
)
select job_id, format('stands in %s and has no row in engine.job', name) as detail
from bare
order by job_id, name
limit 100
