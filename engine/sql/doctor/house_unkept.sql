-- Nobody keeps house: no worker lives, and duties are overdue.
-- Reads duty and worker. Caller: store/doctor.rs
select null::bigint as job_id,
    format('nobody has kept house since %s: figures stand still, nothing is pruned and no partition is made; start `rawops worker`',
           to_char(max(succeeded_at) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"')) as detail
from engine.duty_health
where not exists (select from engine.worker w where w.dead_at is null and w.lease_until > (select engine.now()))
having bool_or(overdue)
