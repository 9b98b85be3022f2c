-- Let the jobs at the head of the queues of keys $1 into ready, as many as their keys have free slots and, where they have
-- a rate, as it has left, each with its slot; at most $2, in the order in which they came.
-- Only the holder of the lock of lock.sql makes slots; those that end jobs hand them on or delete them. Returns how many.
-- Locks: heads of waiting, skip locked; new slots in key order. Index: waiting_turn, slot_pkey. Caller: store/waiting.rs
with asked as materialized (
    select k.limit_key, l.cap,
        greatest(0, least(l.cap - (select count(*) from engine.slot s where s.limit_key = k.limit_key),
            -- Of a rate, what is left and was not given to jobs that have not begun.
            case when l.rate is not null then
                engine.rate_left(l.rate, l.per_ms, l.burst, p.free_at, c.at)
                - (select count(*) from engine.slot s where s.limit_key = k.limit_key and not s.charged) end)) as places
    from (select engine.now() as at) c
    cross join unnest($1::text[]) k (limit_key)
    cross join lateral engine.limit_of_key(k.limit_key) l
    left join engine.pace p on l.rate is not null and p.limit_key = k.limit_key
),
-- Chosen first and locked then, so that none is locked in vain.
first as materialized (
    select a.limit_key, h.place, h.position
    from asked a
    cross join lateral (
        select w.ctid as place, w.position from engine.waiting w
        where w.limit_key = a.limit_key
        order by w.position
        limit least(a.places, $2)
    ) h
    order by h.position
    limit $2
),
heads as materialized (
    select h.*, row_number() over (partition by h.limit_key order by h.position) as turn
    from (
        select w.ctid as place, w.limit_key, w.position, w.job_id, w.lane_id, w.attempt
        from engine.waiting w
        where w.ctid = any (array(select place from first))
        for update skip locked
    ) h
),
free as materialized (
    select a.limit_key, f.n, row_number() over (partition by a.limit_key order by f.n) as turn
    from asked a
    join (select limit_key, count(*) as number from heads group by limit_key) h on h.limit_key = a.limit_key
    cross join lateral (
        -- As many as are wanted, one by one: a key may have many.
        select g.n from (select generate_series(1, a.cap) as n) g
        where not exists (select from engine.slot s where s.limit_key = a.limit_key and s.n = g.n offset 0)
        limit h.number
    ) f
),
seated as (
    insert into engine.slot (limit_key, n, job_id)
    select h.limit_key, f.n, h.job_id
    from heads h
    join free f on f.limit_key = h.limit_key and f.turn = h.turn
    order by h.limit_key, f.n
    on conflict do nothing
    returning job_id
),
gone as (
    delete from engine.waiting where ctid = any (array(select place from heads where job_id in (select job_id from seated)))
),
entered as (
    insert into engine.ready (lane_id, attempt, position, job_id)
    select h.lane_id, h.attempt, nextval('engine.position'), h.job_id
    from heads h
    where h.job_id in (select job_id from seated)
    order by h.position
    returning 1
),
woken as (
    select engine.wake() from (select 1 from entered limit 1) any_entered
)
select (select count(*) from entered) as admitted, (select count(*) from woken) as woken
