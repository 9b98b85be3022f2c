-- Claim up to $4 ready jobs of kinds $2 and queues $3 for worker $1.
-- $5..$7 are what the worker knows of lanes: the floor below which nothing is left, and how many it wants;
-- a lane it has not met yet starts at 0 and gives up to $8. $9 turns the order of equal priorities. $10: by how many
-- priorities each lane counts as more urgent, since claims have not got to it for long. $11: whether the queue of each is wanted.
-- $12: how long the runs of each lane may be, null for none. A run is a job that holds a slot of its limit key and those of the
-- key that wait behind it: they follow each other on that slot, which the last of them holds from now on.
-- $13: whether to look in front of each lane too, where stand those that were claimed before and given back; of one that claims have
-- not got to for long they look there in any case.
-- Lanes whose queue or kind is limited are left to take_limited.sql, and those of kinds whose system is down are left alone.
-- A workflow that began anew has the arguments of its history; no job has one in its first attempt, unless it took one over.
-- The first row carries the snapshot by which the floors are moved, the lanes that were not paused, with the kind and the queue of
-- each, those that are limited, and the claim, null if there was nothing. The other rows are its jobs, in no order: to sort them here
-- would cost more.
-- Locks: rows of ready and of waiting, skip locked; slots of what was in ready. Index: ready_pkey in front and from the floor, waiting_turn.
-- Caller: store/claim.rs
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
    select row_number() over (order by l.priority - coalesce(f.boost, 0), (l.id + $9) % 101) as rank, l.id, l.kind, l.queue, coalesce(f.floor, 0) as floor, coalesce(f.boost, 0) as boost, least($4::bigint, coalesce(f.quota, $8)) as quota, coalesce(f.run, 1) as run
    from known l
    left join unnest($5::integer[], $6::bigint[], $7::bigint[], $10::integer[], $12::integer[]) f (lane_id, floor, quota, boost, run) on f.lane_id = l.id
    where not l.limited
    order by rank
),
chosen as materialized (
    select r.place from head
    cross join lateral (
        select f.place from (
            select ctid as place from engine.ready
            where ($13 or head.boost > 0) and lane_id = head.id and position < 0
            order by position
            limit head.quota
            for update skip locked
        ) f
        union all
        select n.place from (
            select ctid as place from engine.ready
            where lane_id = head.id and position > head.floor
            order by position
            limit head.quota
            for update skip locked
        ) n
        limit head.quota
    ) r
    limit $4
),
picked as (
    delete from engine.ready where ctid = any (array(select place from chosen))
    returning lane_id, position, job_id, attempt
),
-- One that was lost before has to be found with its slot, should it be lost again: it begins no run and is in none.
seated as materialized (
    select s.limit_key, s.n, p.job_id, p.lane_id, p.position, h.run
    from picked p
    join head h on h.id = p.lane_id and h.run > 1
    cross join lateral (select limit_key, n from engine.slot where job_id = p.job_id offset 0) s
    where $12::integer[] is not null and p.attempt = 1
),
-- Most keys are plain, and to ask each for its limit would cost more than the run saves. A cap that was lowered leaves jobs in
-- ready above it, which are to run out alone.
special as materialized (
    select not engine.keys_are_alike(coalesce((select max(n) from seated), 1)) as some_are where $12::integer[] is not null
),
key as materialized (
    select k.* from (
        select limit_key, min(lane_id) as lane_id, max(run) as run, max(n) as top, array_agg(job_id order by position) as heads from seated
        group by limit_key having min(lane_id) = max(lane_id)
    ) k
    left join lateral (select * from engine.limit_of_key(k.limit_key) where (select some_are from special)) l on true
    where l.cap is null or (l.cap > 0 and l.cap >= k.top and l.rate is null and not l.in_order)
),
follower as materialized (
    select w.place, w.position, w.job_id, w.lane_id, w.attempt, k.heads[(w.turn - 1) % cardinality(k.heads) + 1] as head,
        w.turn > w.number - cardinality(k.heads) as is_last
    from key k
    cross join lateral (
        select t.*, count(*) over () as number
        from (
            select f.*, row_number() over (order by f.position) as turn,
                bool_and(f.lane_id = k.lane_id and f.attempt = 1) over (order by f.position) as alike
            from (
                select ctid as place, position, job_id, lane_id, attempt from engine.waiting
                where limit_key = k.limit_key
                order by position
                limit cardinality(k.heads) * (k.run - 1)
                for update skip locked
            ) f
        ) t
        where t.alike
    ) w
),
left_line as (
    delete from engine.waiting where ctid = any (array(select place from follower))
),
reseated as (
    update engine.slot s set job_id = f.job_id from follower f where f.is_last and s.job_id = f.head
),
taken as materialized (
    select lane_id, position, job_id, attempt, null::bigint as head from picked
    union all
    select lane_id, position, job_id, attempt, head from follower
),
held as (
    insert into engine.claim (worker_id, in_runs, ids, attempts)
    select $1, bool_or(head is not null), array_agg(job_id order by position), array_agg(attempt order by position)
    from taken having count(*) > 0
    returning id
)
select
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xmin,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint as xmax,
    s.last_value as last_position,
    l.ids as looked_at, l.kinds, l.queues,
    (select array_agg(k.id order by k.priority - coalesce(b.boost, 0), (k.id + $9) % 101)
     from known k left join unnest($5::integer[], $10::integer[]) b (lane_id, boost) on b.lane_id = k.id
     where k.limited) as limited_lanes,
    (select id from held) as claim_id,
    null::bigint as head, null::integer as lane_id, null::bigint as position, null::bigint as job_id, null::integer as attempt,
    null::text as args, null::timestamptz as created_at, null::boolean as unique_key, null::boolean as limited, null::boolean as stale,
    null::boolean as has_parent, null::text as trace_parent
from engine.position s
cross join (
    select array_agg(id order by rank) as ids, array_agg(kind order by rank) as kinds, array_agg(queue order by rank) as queues from head
) l
union all
select
    null, null, null, null, null, null, null, null,
    p.head, p.lane_id, p.position, p.job_id, p.attempt, coalesce(
               case when p.attempt > 1 then (select case when s.kind = 'continue' then s.result -> 'args' end from engine.step s where s.job_id = p.job_id order by s.position limit 1) end,
               j.args)::text as args, j.created_at, j.unique_key is not null, j.limit_key is not null,
    j.deadline is not null and j.deadline < engine.now(), j.parent_id is not null, j.trace_parent
from taken p
-- One by one, whatever the planner thinks of partitions that it knows nothing of yet.
left join lateral (select * from engine.job where id = p.job_id offset 0) j on true
