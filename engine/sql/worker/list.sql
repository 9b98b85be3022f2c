-- The newest $2 workers that live and, where $1 asks for them, those that were declared dead and are still kept; the newest last.
-- Index: worker_pkey. Caller: store/worker.rs
select w.id, w.name, w.started_at, w.lease_until, w.dead_at is null and w.lease_until <= (select engine.now()) as is_overdue, w.dead_at,
    exists (select from engine.idle i where i.worker_id = w.id) as is_asleep, w.info
from (
    select id, name, started_at, lease_until, dead_at, info
    from engine.worker
    where $1 or dead_at is null
    order by id desc
    limit $2
) w
order by w.id
