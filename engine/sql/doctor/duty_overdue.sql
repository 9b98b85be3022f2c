-- Duties of the house that have not succeeded for five periods and half a minute, although some worker lives.
-- Reads duty and worker. Caller: store/doctor.rs
select null::bigint as job_id,
    format('the duty %s has not succeeded since %s%s', name, to_char(coalesce(succeeded_at, failed_at) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"'),
           case when failures > 0 then format(' and failed since: %s', error) else '' end) as detail
from engine.duty_health
where overdue and exists (select from engine.worker w where w.dead_at is null and w.lease_until > (select engine.now()))
order by name
limit 100
