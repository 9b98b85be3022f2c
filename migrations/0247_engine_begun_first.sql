-- What goes back into its line stands in front of it if it had begun: what a held key takes back, what wakes, comes due or is lost while
-- its key is held, and what is left of a run. It stood at its own id, and one of an older id that was committed later, by a long
-- transaction, ran between two attempts of a job whose key keeps its order.
-- Locks: none that lasts. At run time: as before.

create function engine.head_of_line(job_id bigint) returns bigint
language sql immutable parallel safe
as $$ select $1 - 4611686018427387904 $$;
comment on function engine.head_of_line(bigint) is
    'Where a job that had begun stands in the line of its key: before all that have not, and among its like in the order of their ids.';

create or replace function engine.give_back(jobs bigint[], floors bigint[]) returns integer
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
        select f.limit_key, count(*) as places,
            -- None is below the head of the line.
            case when bool_and(f.floor > 0) then max(f.floor) else -9223372036854775807 end as floor
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

create or replace function engine.give_back(jobs bigint[]) returns integer
language plpgsql
set enable_seqscan = off
as $$
declare
    known bigint[] := jobs;
    moved integer;
begin
    -- The slots of those that went back into their line are nobody's meanwhile. Programs of before put them at their own ids.
    update engine.slot s set job_id = -s.job_id
    where s.job_id = any (give_back.jobs) and exists (
        select from engine.waiting w where w.position in (s.job_id, engine.head_of_line(s.job_id)));
    if found then
        jobs := jobs || array(select -u.id from unnest(jobs) u (id));
    end if;
    moved := engine.give_back(jobs, array_fill(0::bigint, array[coalesce(cardinality(jobs), 0)]));
    if moved > 0 then
        update engine.ready r set position = engine.position_of_return(r.attempt)
        where r.job_id = any (known) and r.position <> r.job_id and r.position > 0;
    end if;
    return moved;
end
$$;

create or replace function engine.unpark(ids bigint[]) returns integer
language plpgsql
as $$
declare
    gone record;
    woken integer := 0;
    held bigint[] := '{}';
begin
    if ids is null or cardinality(ids) = 0 then
        return 0;
    end if;
    -- The claimers' floor trusts that whoever takes a position already has a transaction id.
    perform pg_current_xact_id();
    for gone in
        delete from engine.parked p
        where p.ctid = any (array(select o.ctid from engine.parked o where o.job_id = any (ids) order by o.job_id for update))
        returning p.job_id, p.lane_id, p.attempt, (select j.limit_key from engine.job j where j.id = p.job_id) as limit_key
    loop
        if gone.limit_key is not null and exists (select from engine.slot s where s.job_id = gone.job_id)
            and (select l.cap = 0 from engine.limit_of_key(gone.limit_key) l) then
            insert into engine.waiting (position, job_id, lane_id, attempt, limit_key)
            values (engine.head_of_line(gone.job_id), gone.job_id, gone.lane_id, gone.attempt, gone.limit_key);
            held := held || gone.job_id;
        else
            perform engine.put_in_place(gone.job_id, gone.lane_id, gone.attempt, null, gone.limit_key);
        end if;
        woken := woken + 1;
    end loop;
    if cardinality(held) > 0 then
        perform engine.give_back(held);
    end if;
    return woken;
end
$$;

create or replace function engine.take_back_held(most integer default null) returns integer
language plpgsql
set enable_seqscan = off
as $$
declare
    moved integer;
begin
    if not exists (select from engine.paused where scope = 'key') then
        return 0;
    end if;
    -- Of the workers one at a time looks; a pause takes back its own in any case.
    if most is not null and not pg_try_advisory_xact_lock(hashtextextended('engine.take_back_held', 0)) then
        return 0;
    end if;
    with held as materialized (
        select h.job_id, h.limit_key from engine.slots_held() h
    ),
    idle as materialized (
        select r.ctid as place from engine.ready r
        where r.job_id = any (array(select h.job_id from held h)) and r.position <> r.job_id
        limit most
        for update skip locked
    ),
    back as (
        delete from engine.ready where ctid = any (array(select i.place from idle i)) returning job_id, lane_id, attempt
    ),
    -- Its own id is a position that nobody else can have, and before all that came later.
    waits as (
        insert into engine.waiting (position, job_id, lane_id, attempt, limit_key)
        select case when b.attempt > 1 then engine.head_of_line(b.job_id) else b.job_id end, b.job_id, b.lane_id, b.attempt, h.limit_key
        from back b join held h on h.job_id = b.job_id
    )
    delete from engine.slot where job_id in (select b.job_id from back b);
    get diagnostics moved = row_count;
    return moved;
end
$$;
