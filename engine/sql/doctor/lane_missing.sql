-- Jobs of a lane that does not exist: no worker would ever look there. Scans job, ready, scheduled and waiting.
-- Caller: store/doctor.rs
with stray as materialized (
    select x.job_id, x.lane_id, x.name
    from (
        select job_id, lane_id, 'ready' as name from engine.ready
        union all
        select job_id, lane_id, 'scheduled' from engine.scheduled
        union all
        select job_id, lane_id, 'waiting' from engine.waiting
        union all
        select id, lane_id, 'job' from engine.job
    ) x
    where not exists (select from engine.lane l where l.id = x.lane_id)
)
select job_id, format('its row in engine.%s names lane %s, which does not exist', name, lane_id) as detail
from stray
order by job_id, name
limit 100
