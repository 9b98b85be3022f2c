-- Attempts that are not numbered 1, 2, 3 ... without a gap. Scans attempt; looks up only the second and later ones.
-- Long runs of snoozes and waits are thinned out, and the last of them stay: a gap before one is none.
-- Caller: store/doctor.rs
with lone as materialized (
    select a.job_id, a.attempt from engine.attempt a
    where a.attempt < 1
       or (a.attempt > 1 and not exists (select from engine.attempt b where b.job_id = a.job_id and b.attempt = greatest(a.attempt, 1) - 1))
)
select l.job_id, format('attempt %s is recorded and attempt %s is not', l.attempt, l.attempt::bigint - 1) as detail
from lone l
where l.attempt < 1
   or not exists (select from engine.attempt s where s.job_id = l.job_id and s.attempt >= l.attempt and s.outcome in ('snoozed', 'waiting'))
order by l.job_id, l.attempt
limit 100
