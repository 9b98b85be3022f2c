-- The newest job of schedule $1 that has not ended, among its last 20.
-- Caller: store/occurrence.rs
select o.job_id
from (
    select job_id, fired_at from engine.occurrence
    where schedule = $1 and job_id is not null
    order by fired_at desc limit 20
) o
join engine.job_state s on s.id = o.job_id
where s.state not in ('completed', 'cancelled', 'dead', 'missing')
order by o.fired_at desc
limit 1
