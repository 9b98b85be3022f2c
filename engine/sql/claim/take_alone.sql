-- Claim one due suspect for worker $1, which runs nothing else. It has kept the slot of its limit key, and waits where that is
-- held or has a rate with nothing left; a limit of its queue or its kind that leaves no room keeps it out, and those are locked by
-- limit/lock_suspects.sql: $5. So does a system that is down, unless it is of $4, which breaker/lock_due.sql has locked: then it is
-- its probe, since there may be no other job that could be.
-- Locks: one row of scheduled, skip locked. Index: scheduled_alone. Caller: store/claim/limited.rs
with clock as materialized (
    select engine.now() as at
),
rule as materialized (
    select l.id as lane_id, s.id, s.cap, s.rate, s.per_ms, s.burst, s.free_at, least(coalesce(k.weight, 1), s.burst) as weight
    from engine.lane l
    join engine.limit_setting s
        on ((s.scope = 'queue' and s.name = l.queue) or (s.scope = 'kind' and s.name = l.kind))
        and (s.cap is not null or s.rate is not null)
    left join engine.limit_setting k on k.scope = 'kind' and k.name = l.kind
    where l.id in (select s.lane_id from engine.scheduled s where s.alone and s.run_at <= (select at from clock))
),
picked as (
    delete from engine.scheduled where ctid = (
        select s.ctid from engine.scheduled s
        join engine.lane l on l.id = s.lane_id
        where s.alone and s.run_at <= (select at from clock) and l.kind = any ($2) and l.queue = any ($3) and not l.paused
          and not exists (select from engine.paused p where p.name = case p.scope when 'queue' then l.queue when 'kind' then l.kind end)
          and not exists (select from engine.barred b where b.kind = l.kind and b.system <> all ($4))
          and exists (select from engine.worker w where w.id = $1 and w.dead_at is null)
          and not engine.key_holds_back(s.job_id)
          and not exists (
              select from rule r
              where r.lane_id = l.id
                -- One that came due, or a limit that was set, since they were locked is not counted under them.
                and (r.id <> all ($5)
                     or (select coalesce(sum(p.jobs), 0) from engine.permit p where p.setting_id = r.id) >= r.cap
                     or (r.rate is not null and engine.rate_left(r.rate, r.per_ms, r.burst, r.free_at, (select at from clock)) < r.weight)))
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
),
permitted as (
    insert into engine.permit (claim_id, setting_id, jobs)
    select h.id, r.id, 1 from held h cross join picked p join rule r on r.lane_id = p.lane_id and r.cap is not null
),
charged as (
    update engine.limit_setting s
    set free_at = engine.rate_after(r.rate, r.per_ms, r.burst, r.free_at, c.at, r.weight)
    from picked p join rule r on r.lane_id = p.lane_id and r.rate is not null cross join clock c
    where s.id = r.id
)
select held.id as claim_id, p.lane_id, p.job_id, p.attempt, l.kind, coalesce(
               case when p.attempt > 1 then (select case when s.kind = 'continue' then s.result -> 'args' end from engine.step s where s.job_id = p.job_id order by s.position limit 1) end,
               j.args)::text as args, j.created_at,
       j.unique_key is not null as unique_key, j.limit_key is not null as limited,
       j.deadline is not null and j.deadline < engine.now() as stale, j.parent_id is not null as has_parent,
       l.queue, j.trace_parent, (select b.system from engine.barred b where b.kind = l.kind) as probe_of
from held
cross join picked p
join engine.lane l on l.id = p.lane_id
left join engine.job j on j.id = p.job_id
