-- Attempts recorded after one that ended the job for good: it ran again, or has two outcomes.
-- Scans attempt; looks up only the second and later ones. Caller: store/doctor.rs
with later as materialized (
    select a.job_id, a.attempt, a.outcome, f.attempt as final_attempt, f.outcome as final_outcome
    from engine.attempt a
    join engine.attempt f on f.job_id = a.job_id and f.attempt < a.attempt and f.outcome in ('completed', 'cancelled', 'dead')
    where a.attempt > 1
)
select job_id,
    format('attempt %s ended as %s after attempt %s had ended the job as %s', attempt, outcome, final_attempt, final_outcome) as detail
from later
order by job_id, attempt
limit 100
