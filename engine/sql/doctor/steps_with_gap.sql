-- Steps of workflows that are not numbered 1, 2, 3 ... without a gap; one that began anew goes on from there. Scans step. Caller: store/doctor.rs
with lone as materialized (
    select s.job_id, s.position from engine.step s
    where s.position > 1 and s.kind <> 'continue' and not exists (select from engine.step b where b.job_id = s.job_id and b.position = s.position - 1)
)
select job_id, format('step %s is kept and step %s is not', position, position - 1) as detail
from lone
order by job_id, position
limit 100
