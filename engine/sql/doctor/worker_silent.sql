-- Workers that stopped renewing 15 s ago and that nobody declared dead: no other worker lives to do it.
-- Reads worker and claim. Caller: store/doctor.rs
select null::bigint as job_id,
    format('worker %s (%s) has been silent since its lease ran out at %s and holds %s claims; a new worker rescues them', w.id, w.name,
           date_trunc('seconds', w.lease_until), (select count(*) from engine.claim c where c.worker_id = w.id)) as detail
from engine.worker w
where w.dead_at is null and w.lease_until < (select engine.now()) - interval '15 seconds'
order by w.id
limit 100
