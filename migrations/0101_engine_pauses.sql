-- Work that operators hold: a queue, a kind or a key of jobs, from now or from a time, until a time or until they resume it.
--
-- Who, why and until when stays on record. The flags `paused` of engine.queue and engine.lane hold work as before.
-- Locks: none that matter; a new table, a new view, functions replaced.

create table engine.pause (
    id bigint generated always as identity primary key,
    scope text not null check (scope in ('queue', 'kind', 'key')),
    name text not null check (name <> '' and octet_length(name) <= 500),
    starts_at timestamptz not null,
    ends_at timestamptz check (ends_at > starts_at),
    paused_by text not null,
    reason text,
    resumed_at timestamptz,
    resumed_by text
);
create index pause_open on engine.pause (scope, name) where resumed_at is null;
comment on table engine.pause is 'What operators hold, and held: one row a pause. Change it with engine.pause_work and engine.resume_work.';
comment on column engine.pause.name is 'A queue, a kind, or a limit key; of keys also all that begin with what stands before a final *.';

create view engine.paused as
select scope, name, starts_at as since, ends_at as until, paused_by, reason
from engine.pause
where resumed_at is null and starts_at <= (select engine.now()) and (ends_at is null or ends_at > (select engine.now()))
union all
select 'queue', name, null, null, 'whoever set engine.queue.paused', null
from engine.queue where paused;
comment on view engine.paused is 'What is held at this moment.';

-- A key that is held has no slots to give.
create or replace function engine.limit_of_key(limit_key text) returns table (cap integer, in_order boolean)
language sql stable
as $$
select
    case when exists (
        select from engine.paused p
        where p.scope = 'key' and (p.name = $1 or (right(p.name, 1) = '*' and starts_with($1, left(p.name, -1)))))
    then 0 else coalesce(l.cap, 100) end,
    coalesce(l.in_order, false)
from (select 1) one
left join lateral (
    select s.cap, s.in_order from engine.limit_setting s where s.scope = 'key' and s.name = $1
    union all
    (select s.cap, s.in_order from engine.limit_setting s
     where s.scope = 'key' and right(s.name, 1) = '*' and starts_with($1, left(s.name, -1))
     order by length(s.name) desc limit 1)
    limit 1
) l on true
$$;

-- Holds a queue, a kind or a key, from `starts_at` (now) until `ends_at` (until it is resumed). What runs goes on; of a
-- key that is held from now on, what stood in ready goes back to the head of the key's queue. Returns the pause's id.
-- Errors: 22023 for a scope, a name or times that make no sense.
-- Locks: a held key's places in ready.
create function engine.pause_work(
    scope text, name text, asked_by text, reason text default null, starts_at timestamptz default null, ends_at timestamptz default null
) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    at timestamptz := engine.now();
    made bigint;
begin
    if pause_work.scope is null or pause_work.scope not in ('queue', 'kind', 'key') or coalesce(pause_work.name, '') = '' then
        raise exception 'a pause is of a queue, a kind or a key, which has a name' using errcode = '22023';
    end if;
    if pause_work.ends_at <= greatest(at, coalesce(pause_work.starts_at, at)) then
        raise exception 'the pause would end at %, before it begins', pause_work.ends_at using errcode = '22023';
    end if;
    insert into engine.pause (scope, name, starts_at, ends_at, paused_by, reason)
    values (pause_work.scope, pause_work.name, coalesce(pause_work.starts_at, at), pause_work.ends_at, pause_work.asked_by, pause_work.reason)
    returning id into made;
    if pause_work.scope = 'key' and coalesce(pause_work.starts_at, at) <= at then
        with back as (
            delete from engine.ready r using engine.slot s
            where s.job_id = r.job_id and r.position <> r.job_id
              and (s.limit_key = pause_work.name
                   or (right(pause_work.name, 1) = '*' and starts_with(s.limit_key, left(pause_work.name, -1))))
            returning r.job_id, r.lane_id, r.attempt, s.limit_key
        ),
        -- Its own id is a position that nobody else can have, and before all that came later.
        waits as (
            insert into engine.waiting (position, job_id, lane_id, attempt, limit_key)
            select b.job_id, b.job_id, b.lane_id, b.attempt, b.limit_key from back b
        )
        delete from engine.slot where job_id in (select b.job_id from back b);
    end if;
    return made;
end
$$;

-- Ends every pause of a queue, a kind or a key, also those to come, and takes the flags away. Returns how many there were.
create function engine.resume_work(scope text, name text, asked_by text) returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    ended integer;
begin
    with over as (
        update engine.pause p set resumed_at = engine.now(), resumed_by = resume_work.asked_by
        where p.scope = resume_work.scope and p.name = resume_work.name and p.resumed_at is null
          and (p.ends_at is null or p.ends_at > engine.now())
        returning 1
    ),
    queues as (
        update engine.queue q set paused = false
        where resume_work.scope = 'queue' and q.name = resume_work.name and q.paused
        returning 1
    ),
    lanes as (
        update engine.lane l set paused = false
        where resume_work.scope = 'kind' and l.kind = resume_work.name and l.paused
        returning 1
    )
    select (select count(*) from over) + (select count(*) from queues) + (select count(*) from lanes) into ended;
    perform engine.wake();
    return ended;
end
$$;
