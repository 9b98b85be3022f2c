-- Whoever ends the last job of a run knows how far the line of its key had been taken: below that stand only the dead entries of
-- those that ran, and to step over them cost a hand-over of the slot more than the rest of it. And a key is asked for its limit only
-- where keys may differ.
-- Locks: none that lasts. At run time: as before, slots of the jobs and the heads of their lines.

create function engine.keys_are_alike(top integer) returns boolean
language sql stable
as $$
    select $1 <= 100
        and not exists (select from engine.limit_setting s where s.scope = 'key' and (s.rate is not null or s.in_order or s.cap < $1))
        and not exists (select from engine.paused p where p.scope = 'key')
$$;
comment on function engine.keys_are_alike(integer) is
    'Whether each limit key may have slots up to this number, and none is paused, has a rate or keeps its order.';

create function engine.give_back(jobs bigint[], floors bigint[]) returns integer
language plpgsql
set enable_seqscan = off
as $$
declare
    moved integer;
begin
    with freed as materialized (
        select s.ctid as slot, s.limit_key, s.n, s.floor, row_number() over (partition by s.limit_key order by s.n) as turn
        from (select s.ctid, s.limit_key, s.n, u.floor
              from unnest(give_back.jobs, give_back.floors) u (job_id, floor)
              join engine.slot s on s.job_id = u.job_id
              for update of s) s
    ),
    special as materialized (
        select not engine.keys_are_alike((select max(n) from freed)) as some_are
    ),
    usable as materialized (
        select f.limit_key, count(*) as places, case when bool_and(f.floor > 0) then max(f.floor) else 0 end as floor
        from freed f
        left join lateral (select * from engine.limit_of_key(f.limit_key) where (select some_are from special)) l on true
        where l.cap is null or (l.rate is null and f.n <= l.cap)
        group by f.limit_key
    ),
    heads as materialized (
        select u.limit_key, h.place, h.position, h.job_id, h.lane_id, h.attempt,
            row_number() over (partition by u.limit_key order by h.position) as turn
        from usable u
        cross join lateral (
            select * from (
                select w.ctid as place, w.position, w.job_id, w.lane_id, w.attempt from engine.waiting w
                where w.limit_key = u.limit_key and w.position > u.floor
                order by w.position
                limit u.places
                for update skip locked
            ) above
            union all
            -- What was given back, or was committed late, if nothing else is there.
            select * from (
                select w.ctid, w.position, w.job_id, w.lane_id, w.attempt from engine.waiting w
                where w.limit_key = u.limit_key and w.position <= u.floor
                order by w.position
                limit u.places
                for update skip locked
            ) below
            limit u.places
        ) h
    ),
    handed as (
        update engine.slot s set job_id = h.job_id
        from freed f join heads h on h.limit_key = f.limit_key and h.turn = f.turn
        where s.ctid = f.slot
    ),
    dropped as (
        delete from engine.slot where ctid = any (array(
            select f.slot from freed f
            where not exists (select from heads h where h.limit_key = f.limit_key and h.turn = f.turn)))
    ),
    gone as (
        delete from engine.waiting where ctid = any (array(select place from heads))
    ),
    entered as (
        insert into engine.ready (lane_id, attempt, position, job_id)
        select h.lane_id, h.attempt, nextval('engine.position'), h.job_id from heads h
        returning 1
    )
    select count(*) into moved from entered;
    if moved > 0 then
        perform engine.wake();
    end if;
    return moved;
end
$$;
comment on function engine.give_back(bigint[], bigint[]) is
    'Hands the slots of these jobs to the next of their keys. Floors: above which position of its line each key is looked at first; 0 for none.';

create or replace function engine.give_back(jobs bigint[]) returns integer
language sql
as $$
    select engine.give_back($1, array_fill(0::bigint, array[coalesce(cardinality($1), 0)]))
$$;
