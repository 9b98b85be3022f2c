-- Enqueue many jobs in one statement; the lanes exist already. Returns a row per input, in order.
-- A unique key that a live job holds, or that came earlier in this batch, makes no job.
-- Locks: its own new rows; unique keys in key order. Caller: store/job.rs
with clock as materialized (
    -- The transaction id comes before the first position: the claimers' floor relies on it.
    select pg_current_xact_id() as xid, engine.now() as at
),
new as materialized (
    select u.n, nextval('engine.position') as id, u.lane_id, u.kind, u.args,
        coalesce(u.run_at, c.at + u.delay_ms * interval '1 millisecond') as run_at,
        engine.checked_name('limit key', u.limit_key) as limit_key, u.max_attempts, u.deadline, u.parent_id, u.trace_parent, c.at,
        case when u.by_args then engine.args_key(u.args) else u.unique_key end as unique_key
    from clock c
    cross join unnest($1::integer[], $2::text[], $3::jsonb[], $4::timestamptz[], $5::text[], $6::text[], $7::smallint[], $8::timestamptz[], $9::boolean[],
            $10::bigint[], $11::text[], $12::bigint[])
        with ordinality
            u (lane_id, kind, args, run_at, unique_key, limit_key, max_attempts, deadline, by_args, parent_id, trace_parent, delay_ms, n)
),
keyed as (
    insert into engine.unique_key (kind, key, job_id)
    select kind, unique_key, id from new where unique_key is not null
    order by kind, unique_key, n
    on conflict (kind, key) do nothing
    returning job_id
),
fresh as materialized (
    select * from new
    where unique_key is null or id in (select job_id from keyed)
),
described as (
    insert into engine.job (id, lane_id, max_attempts, created_at, args, unique_key, limit_key, deadline, parent_id, trace_parent)
    select id, lane_id, max_attempts, at, args, unique_key, limit_key, deadline, parent_id, trace_parent from fresh
),
now_ready as (
    insert into engine.ready (lane_id, attempt, position, job_id)
    select lane_id, 1, id, id from fresh where (run_at is null or run_at <= at) and limit_key is null
    returning 1
),
now_waiting as (
    insert into engine.waiting (position, job_id, lane_id, attempt, limit_key)
    select id, id, lane_id, 1, limit_key from fresh where (run_at is null or run_at <= at) and limit_key is not null
    returning 1
),
later as (
    insert into engine.scheduled (run_at, job_id, lane_id, attempt, keyed)
    select run_at, id, lane_id, 1, limit_key is not null from fresh where run_at > at
),
woken as (
    select engine.wake() from (select 1 from now_ready union all select 1 from now_waiting limit 1) any_ready
),
known as (
    select engine.await_standby() where not exists (select from fresh)
)
select new.n, case when f.id is null then null else new.id end as id
from new
left join fresh f on f.id = new.id
-- Called in any case: a left join of which no column is read is left out of the plan.
where (select count(*) from woken) + (select count(*) from known) >= 0
order by new.n
