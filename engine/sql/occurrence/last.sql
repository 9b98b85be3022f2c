-- The last time that each schedule of names $1 came, with the state of its job.
-- Caller: store/occurrence.rs
select o.schedule, o.occurrence, o.fired_at, o.job_id, o.how, o.by, o.note, s.state, s.finished_at
from unnest($1::text[]) n (name)
cross join lateral (
    select schedule, occurrence, fired_at, job_id, how, by, note from engine.occurrence
    where schedule = n.name
    order by fired_at desc, occurrence desc limit 1
) o
left join engine.job_state s on s.id = o.job_id
