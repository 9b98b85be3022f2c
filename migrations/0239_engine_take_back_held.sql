-- A job of a limit key that had been let in and had not begun stayed so where the pause of its key began later, by a window, and where it
-- was let in by a transaction that the pause did not see. What is let in of a key that is held is taken back now twice a
-- second, by the workers.
-- Locks: none that lasts. At run time: rows of ready, then their slots; a pause waits for those who have locked one, as before.

create function engine.slots_held() returns table(job_id bigint, limit_key text)
language sql stable
as $$
    select s.job_id, s.limit_key from engine.paused p join engine.slot s on s.limit_key = p.name
    where p.scope = 'key'
    union
    select s.job_id, s.limit_key from engine.paused p join engine.slot s on starts_with(s.limit_key, left(p.name, -1))
    where p.scope = 'key' and right(p.name, 1) = '*'
$$;
comment on function engine.slots_held() is
    'Jobs that have a slot of a limit key that is held. Reads the slots whole where a pause is of all keys that begin alike.';
revoke all on function engine.slots_held() from public;

create function engine.take_back_held(most integer default null) returns integer
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
        select b.job_id, b.job_id, b.lane_id, b.attempt, h.limit_key from back b join held h on h.job_id = b.job_id
    )
    delete from engine.slot where job_id in (select b.job_id from back b);
    get diagnostics moved = row_count;
    return moved;
end
$$;
comment on function engine.take_back_held(integer) is
    'Has up to so many jobs wait again that were let in and have not begun, where their limit key is held. Returns how many.';
revoke all on function engine.take_back_held(integer) from public;

create or replace function engine.pause_work(scope text, name text, asked_by text, reason text DEFAULT NULL::text, starts_at timestamp with time zone DEFAULT NULL::timestamp with time zone, ends_at timestamp with time zone DEFAULT NULL::timestamp with time zone) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    at timestamptz := engine.now();
    made bigint;
begin
    if pause_work.scope is null or pause_work.scope not in ('queue', 'kind', 'key') or pause_work.name is null then
        raise exception 'a pause is of a queue, a kind or a key, which has a name' using errcode = '22023';
    end if;
    perform engine.checked_name(case pause_work.scope when 'key' then 'limit key' else pause_work.scope end, pause_work.name);
    if pause_work.ends_at <= greatest(at, coalesce(pause_work.starts_at, at)) then
        raise exception 'the pause would end at %, before it begins', pause_work.ends_at using errcode = '22023';
    end if;
    insert into engine.pause (scope, name, starts_at, ends_at, paused_by, reason)
    values (pause_work.scope, pause_work.name, coalesce(pause_work.starts_at, at), pause_work.ends_at, pause_work.asked_by, pause_work.reason)
    returning id into made;
    if pause_work.scope = 'key' and coalesce(pause_work.starts_at, at) <= at then
        -- Who takes one of them at this moment is waited for: it is in hand then, or stays.
        perform from engine.ready r
        where r.job_id = any (array(select h.job_id from engine.slots_held() h)) and r.position <> r.job_id
        for update;
        perform engine.take_back_held();
    end if;
    return made;
end
$$;
