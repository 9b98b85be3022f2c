-- Claim up to $4 ready jobs of lane $2, in front of it if $6 says so or above position $3, for worker $1, as many as the limits of
-- its queue and its kind leave; those are locked by limit/lock.sql: $7. $5: as a probe of the system that its kind calls, which is down. The claim
-- gets permits of each limit that counts, and is charged to each that has a rate. The first row says how long the rates ask
-- to wait before the first of them, and whether the limits left a place to look for; its job columns are null when there is none.
-- Locks: rows of ready, skip locked. Index: ready_pkey in front and from the floor. Caller: store/claim/limited.rs
with clock as materialized (
    select engine.now() as at
),
lane as materialized (
    select l.id, l.queue, l.kind, coalesce(k.weight, 1) as weight
    from engine.lane l
    left join engine.limit_setting k on k.scope = 'kind' and k.name = l.kind
    where l.id = $2 and not l.paused
      -- It was not when the worker learnt of it, which is a moment ago.
      and not exists (select from engine.paused p where p.name = case p.scope when 'queue' then l.queue when 'kind' then l.kind end)
      and ($5 or not exists (select from engine.barred b where b.kind = l.kind))
      and exists (select from engine.worker w where w.id = $1 and w.dead_at is null)
),
rule as materialized (
    select s.id, s.cap, s.rate, s.per_ms, s.burst, s.free_at, least(lane.weight, s.burst) as weight,
        case when s.cap is not null then s.cap - (select coalesce(sum(p.jobs), 0) from engine.permit p where p.setting_id = s.id) end as places
    from lane
    join engine.limit_setting s
        on ((s.scope = 'queue' and s.name = lane.queue) or (s.scope = 'kind' and s.name = lane.kind))
        and (s.cap is not null or s.rate is not null)
),
room as materialized (
    -- A limit that is newer than the lock is not counted under it.
    select case when bool_and(r.id is null or r.id = any ($7)) then greatest(0, least($4::bigint, min(r.places),
        min(case when r.rate is not null then engine.rate_left(r.rate, r.per_ms, r.burst, r.free_at, c.at) / r.weight end))) else 0 end as most
    from clock c left join rule r on true
),
chosen as materialized (
    select f.place from (
        select ctid as place from engine.ready
        where $6 and lane_id = (select id from lane) and position < 0
        order by position
        limit (select most from room)
        for update skip locked
    ) f
    union all
    select n.place from (
        select ctid as place from engine.ready
        where lane_id = (select id from lane) and position > $3
        order by position
        limit (select most from room)
        for update skip locked
    ) n
    limit (select most from room)
),
picked as (
    delete from engine.ready where ctid = any (array(select place from chosen))
    returning lane_id, position, job_id, attempt
),
held as (
    insert into engine.claim (worker_id, ids, attempts)
    select $1, array_agg(job_id order by position), array_agg(attempt order by position)
    from picked having count(*) > 0
    returning id
),
permitted as (
    insert into engine.permit (claim_id, setting_id, jobs)
    select h.id, r.id, (select count(*) from picked) from held h cross join rule r where r.cap is not null
),
charged as (
    update engine.limit_setting s
    set free_at = engine.rate_after(r.rate, r.per_ms, r.burst, r.free_at, c.at, r.weight * (select count(*) from picked))
    from rule r cross join clock c
    where s.id = r.id and r.rate is not null and exists (select from picked)
)
select
    (select max(engine.rate_wait(r.rate, r.per_ms, r.burst, r.free_at, c.at, r.weight)) from rule r where r.rate is not null) as wait_s,
    (select most > 0 from room) as looked,
    h.id as claim_id, p.lane_id, p.position, p.job_id, p.attempt, lane.kind, coalesce(
               case when p.attempt > 1 then (select case when s.kind = 'continue' then s.result -> 'args' end from engine.step s where s.job_id = p.job_id order by s.position limit 1) end,
               j.args)::text as args, j.created_at,
    j.unique_key is not null as unique_key, j.limit_key is not null as limited, j.deadline is not null and j.deadline < engine.now() as stale,
    j.parent_id is not null as has_parent, lane.queue, j.trace_parent
from clock c
left join held h on true
left join picked p on h.id is not null
left join lane on lane.id = p.lane_id
left join lateral (select * from engine.job where id = p.job_id offset 0) j on true
order by p.position
