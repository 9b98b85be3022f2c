-- Renew the lease of worker $1 for $2 ms. No row: it was declared dead and must stop all it runs.
-- Returns the jobs it holds that somebody asked to cancel. The commit need not be durable, so it does not wait for the disk.
-- Locks: its own row. Caller: store/worker.rs
with quick as materialized (
    select set_config('synchronous_commit', 'off', true) as setting
),
renewed as (
    update engine.worker set lease_until = engine.now() + $2 * interval '1 millisecond'
    from quick where id = $1 and dead_at is null
    returning id
)
select array(
    select r.job_id
    from (select unnest(c.ids) as job_id from engine.claim c where c.worker_id = $1) held
    join engine.cancel_request r on r.job_id = held.job_id
) as cancelled
from renewed
