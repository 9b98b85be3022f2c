-- Steps of jobs that do not exist, although older ones do. Scans step; job by key. Caller: store/doctor.rs
with first as materialized (
    select min(id) as id from engine.job
),
bare as materialized (
    select s.job_id, count(*) as steps from engine.step s
    where s.job_id > (select id from first) and not exists (select from engine.job j where j.id = s.job_id)
    group by s.job_id
)
select job_id, format('%s steps are kept of it, and it has no row in engine.job', steps) as detail
from bare
order by job_id
limit 100
