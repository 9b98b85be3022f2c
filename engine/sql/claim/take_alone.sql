-- Claim one due suspect for worker $1, which runs nothing else. It has kept the slot of its limit key.
-- Locks: one row of scheduled, skip locked. Index: scheduled_alone. Caller: store/claim.rs
with picked as (
    delete from engine.scheduled where ctid = (
        select s.ctid from engine.scheduled s
        join engine.lane l on l.id = s.lane_id
        where s.alone and s.run_at <= (select engine.now()) and l.kind = any ($2) and l.queue = any ($3) and not l.paused
          and not exists (select from engine.paused p where p.name = case p.scope when 'queue' then l.queue when 'kind' then l.kind end)
          and exists (select from engine.worker w where w.id = $1 and w.dead_at is null)
        order by s.run_at
        limit 1
        for update of s skip locked
    )
    returning job_id, lane_id, attempt
),
held as (
    insert into engine.claim (worker_id, alone, ids, attempts)
    select $1, true, array[job_id], array[attempt] from picked
    returning id
)
select held.id as claim_id, p.lane_id, p.job_id, p.attempt, l.kind, j.args::text as args, j.created_at,
       j.unique_key is not null as unique_key, j.limit_key is not null as limit_key,
       j.deadline is not null and j.deadline < engine.now() as stale, j.parent_id is not null as has_parent
from held
cross join picked p
join engine.lane l on l.id = p.lane_id
left join engine.job j on j.id = p.job_id
