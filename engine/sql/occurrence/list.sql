-- The last $2 times that schedule $1 came, newest first, with the state of each job; null when its job is no longer kept.
-- Caller: store/occurrence.rs
select o.schedule, o.occurrence, o.fired_at, o.job_id, o.how, o.by, o.note, s.state, s.finished_at
from (
    select schedule, occurrence, fired_at, job_id, how, by, note from engine.occurrence
    where schedule = $1
    order by fired_at desc, occurrence desc limit $2
) o
left join engine.job_state s on s.id = o.job_id
order by o.fired_at desc, o.occurrence desc
