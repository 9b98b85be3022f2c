-- Claim up to $4 ready jobs of kinds $2 and queues $3 for worker $1.
-- $5..$7 are what the worker knows of lanes: the floor below which nothing is left, and how many it wants;
-- a lane it has not met yet starts at 0 and gives up to $8. $9 turns the order of equal priorities. $10: by how many
-- priorities each lane counts as more urgent, since claims have not got to it for long. $11: whether the queue of each is wanted.
-- Lanes whose queue or kind is limited are left to take_limited.sql, and those of kinds whose system is down are left alone.
-- A workflow that began anew has the arguments of its history; no job has one in its first attempt, unless it took one over.
-- The first row carries the snapshot by which the floors are moved, the lanes that were not paused, and those that are
-- limited; its job columns are null when there is none.
-- Locks: rows of ready, skip locked. Index: ready_pkey from the floor. Caller: store/claim.rs
with known as materialized (
    select l.id, l.kind, l.priority, case when $11 then l.queue end as queue,
        exists (select from engine.limit_setting s where s.scope = 'queue' and s.name = l.queue and (s.cap is not null or s.rate is not null))
        or exists (select from engine.limit_setting s where s.scope = 'kind' and s.name = l.kind and (s.cap is not null or s.rate is not null))
        as limited
    from engine.lane l
    where l.kind = any ($2) and l.queue = any ($3) and not l.paused
      and not exists (select from engine.paused p where p.name = case p.scope when 'queue' then l.queue when 'kind' then l.kind end)
      and not exists (select from engine.barred b where b.kind = l.kind)
      and exists (select from engine.worker w where w.id = $1 and w.dead_at is null)
),
head as materialized (
    select row_number() over (order by l.priority - coalesce(f.boost, 0), (l.id + $9) % 101) as rank, l.id, l.kind, l.queue, coalesce(f.floor, 0) as floor, least($4::bigint, coalesce(f.quota, $8)) as quota
    from known l
    left join unnest($5::integer[], $6::bigint[], $7::bigint[], $10::integer[]) f (lane_id, floor, quota, boost) on f.lane_id = l.id
    where not l.limited
    order by rank
),
chosen as materialized (
    select r.place from head
    cross join lateral (
        select ctid as place from engine.ready
        where lane_id = head.id and position > head.floor
        order by position
        limit head.quota
        for update skip locked
    ) r
    limit $4
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
)
select
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xmin,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint as xmax,
    s.last_value as last_position,
    case when c.position is null or c.position = (select min(position) from picked) then (select array_agg(id order by rank) from head) end as looked_at,
    case when c.position is null or c.position = (select min(position) from picked) then (select array_agg(id order by priority, id) from known where limited) end as limited_lanes,
    c.id as claim_id, c.lane_id, c.position, c.job_id, c.attempt, c.kind, c.args, c.created_at, c.unique_key, c.limited, c.stale,
    c.has_parent, c.queue, c.trace_parent
from engine.position s
left join (
    select head.rank, held.id, p.lane_id, p.position, p.job_id, p.attempt, head.kind, coalesce(
               case when p.attempt > 1 then (select case when s.kind = 'continue' then s.result -> 'args' end from engine.step s where s.job_id = p.job_id order by s.position limit 1) end,
               j.args)::text as args, j.created_at,
           j.unique_key is not null as unique_key, j.limit_key is not null as limited,
           j.deadline is not null and j.deadline < engine.now() as stale, j.parent_id is not null as has_parent,
           head.queue, j.trace_parent
    from held
    cross join picked p
    join head on head.id = p.lane_id
    -- One by one, whatever the planner thinks of partitions that it knows nothing of yet.
    left join lateral (select * from engine.job where id = p.job_id offset 0) j on true
) c on true
order by c.rank, c.position
