-- Attempts that are not numbered 1, 2, 3 ... without a gap. Scans attempt; looks up only the second and later ones.
-- Caller: store/doctor.rs
with lone as materialized (
    select a.job_id, a.attempt from engine.attempt a
    where a.attempt < 1
       or (a.attempt > 1 and not exists (select from engine.attempt b where b.job_id = a.job_id and b.attempt = a.attempt - 1))
)
select job_id, format('attempt %s is recorded and attempt %s is not', attempt, attempt - 1) as detail
from lone
order by job_id, attempt
limit 100
