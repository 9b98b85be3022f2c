-- How many jobs of one limit key run at once, over the whole fleet; exact, because a job runs only with a slot of its
-- key and the slots are numbered up to the cap.
--
-- A job with a limit key waits in `waiting` until a worker admits it: it gets a slot and enters `ready` together with
-- it. Claims therefore know nothing of keys, and a key's million jobs stand where no claim looks. Whoever ends a job
-- hands its slot to the head of the key's queue. Producers never touch slots, so their long transactions hold up nobody.
-- Locks: access exclusive on scheduled for a moment, to add a column without a rewrite; else new objects, views and
-- functions replaced.

create table engine.limit_setting (
    id integer generated always as identity primary key,
    scope text not null check (scope in ('key')),
    name text not null check (name <> '' and octet_length(name) <= 500),
    cap integer check (cap between 1 and 10000),
    in_order boolean not null default false,
    declared jsonb,
    changed_at timestamptz not null default engine.now(),
    changed_by text not null,
    unique (scope, name)
);
comment on table engine.limit_setting is 'What limits jobs: a key, or all keys that begin with what stands before a final *. The longest name wins.';
comment on column engine.limit_setting.cap is 'How many of its jobs may stand in ready or run at once. Null: 100, so that no key fills ready.';
comment on column engine.limit_setting.in_order is 'Whether a job keeps its slot while it waits for a retry, so that a cap of 1 keeps the order of jobs.';
comment on column engine.limit_setting.declared is 'What a program says of it; null when only operators do.';
-- The few names that end with *, looked through for each key.
create index limit_setting_pattern on engine.limit_setting (name) where right(name, 1) = '*';

create table engine.waiting (
    position bigint primary key,
    job_id bigint not null,
    lane_id integer not null,
    attempt integer not null,
    limit_key text not null
) with (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000000,
    vacuum_truncate = off
);
create unique index waiting_turn on engine.waiting (limit_key, position);
create unique index waiting_returned on engine.waiting (job_id) where position <> job_id;
comment on table engine.waiting is 'What may run as soon as its key has a free slot, in the order of position.';

create table engine.slot (
    limit_key text not null,
    n integer not null check (n > 0),
    job_id bigint not null unique,
    primary key (limit_key, n)
) with (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = off
);
comment on table engine.slot is 'One row a job that stands in ready or runs and has a limit key; also kept until the retry where the limit says in_order.';

alter table engine.scheduled add column keyed boolean;
comment on column engine.scheduled.keyed is 'Whether the job has a limit key. Null: whoever put it here did not say.';

-- What limits the jobs of a key. One row, whatever the key. Expanded into the statements that use it.
create function engine.limit_of_key(limit_key text) returns table (cap integer, in_order boolean)
language sql stable
as $$
select coalesce(l.cap, 100), coalesce(l.in_order, false)
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

-- Gives back the slots of jobs that ended or that run later: each goes to the head of its key's queue, which enters
-- ready with it, or is free. A number above the cap goes away. Returns how many jobs entered ready. It takes each snapshot
-- anew, so it sees what was committed while the caller's statement waited.
-- Locks: the slots; heads of waiting, skip locked.
create function engine.give_back(jobs bigint[]) returns integer
language plpgsql
-- Its plan is made once a session, perhaps when the tables were empty.
set enable_seqscan = off
as $$
declare
    moved integer;
begin
    with freed as materialized (
        select s.limit_key, s.n, row_number() over (partition by s.limit_key order by s.n) as turn
        from engine.slot s where s.job_id = any (give_back.jobs)
    ),
    usable as materialized (
        select f.limit_key, count(*) as places
        from (select k.limit_key, l.cap from (select distinct limit_key from freed) k cross join lateral engine.limit_of_key(k.limit_key) l) c
        join freed f on f.limit_key = c.limit_key and f.n <= c.cap
        group by f.limit_key
    ),
    heads as materialized (
        select u.limit_key, h.position, h.job_id, h.lane_id, h.attempt,
            row_number() over (partition by u.limit_key order by h.position) as turn
        from usable u
        cross join lateral (
            select w.position, w.job_id, w.lane_id, w.attempt from engine.waiting w
            where w.limit_key = u.limit_key
            order by w.position
            limit u.places
            for update skip locked
        ) h
    ),
    handed as (
        update engine.slot s set job_id = h.job_id
        from freed f join heads h on h.limit_key = f.limit_key and h.turn = f.turn
        where s.limit_key = f.limit_key and s.n = f.n
    ),
    dropped as (
        delete from engine.slot s using freed f
        where s.limit_key = f.limit_key and s.n = f.n
          and not exists (select from heads h where h.limit_key = f.limit_key and h.turn = f.turn)
    ),
    gone as (
        delete from engine.waiting w using heads h where w.position = h.position
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

create or replace function engine.put_in_place(job_id bigint, lane_id integer, attempt integer, run_at timestamptz, limit_key text) returns void
language plpgsql
as $$
declare
    -- A new job stands at its own id; one that returns enters at the right edge.
    place bigint := case when put_in_place.attempt = 1 then put_in_place.job_id else nextval('engine.position') end;
begin
    if put_in_place.run_at is not null then
        insert into engine.scheduled (run_at, job_id, lane_id, attempt, keyed)
        values (put_in_place.run_at, put_in_place.job_id, put_in_place.lane_id, put_in_place.attempt, put_in_place.limit_key is not null);
        return;
    end if;
    if put_in_place.limit_key is not null
        and not exists (select from engine.slot s where s.job_id = put_in_place.job_id) then
        insert into engine.waiting (position, job_id, lane_id, attempt, limit_key)
        values (place, put_in_place.job_id, put_in_place.lane_id, put_in_place.attempt, put_in_place.limit_key);
    else
        insert into engine.ready (lane_id, position, job_id, attempt)
        values (put_in_place.lane_id, place, put_in_place.job_id, put_in_place.attempt);
    end if;
    perform engine.wake();
end
$$;

create or replace view engine.place as
select job_id, attempt, 'ready' as name from engine.ready
union all
select job_id, attempt, 'scheduled' from engine.scheduled
union all
select job_id, attempt, 'waiting' from engine.waiting
union all
select u.job_id, u.attempt, format('claim %s of worker %s', c.id, c.worker_id)
from engine.claim c, unnest(c.ids, c.attempts) u (job_id, attempt)
where not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt)
union all
select job_id, attempt, 'parked' from engine.parked;

create or replace view engine.job_state as
select
    j.id, l.queue, l.kind, l.priority, j.created_at, j.args, j.unique_key, j.limit_key, j.parent_id, j.requeued_from,
    coalesce(r.attempt, s.attempt, c.attempt, p.attempt, w.attempt, a.attempt) as attempt,
    coalesce(s.run_at, p.wake_at) as run_at, c.worker_id, c.claimed_at, a.finished_at, a.category, a.error, a.output,
    case
        when r.attempt is not null then 'ready'
        when s.attempt is not null then 'scheduled'
        when c.attempt is not null then 'running'
        when p.attempt is not null then 'parked'
        when w.attempt is not null then 'waiting'
        when a.outcome in ('completed', 'cancelled', 'dead') then a.outcome
        else 'missing'
    end as state
from engine.job j
join engine.lane l on l.id = j.lane_id
left join lateral (
    select attempt from engine.ready where lane_id = j.lane_id and position = j.id
    union all
    select attempt from engine.ready where job_id = j.id and position <> job_id
    limit 1
) r on true
left join engine.scheduled s on s.job_id = j.id
left join engine.parked p on p.job_id = j.id
left join lateral (
    select u.attempt, k.worker_id, k.claimed_at
    from engine.claim k, unnest(k.ids, k.attempts) u (id, attempt)
    where k.ids @> array[j.id] and u.id = j.id
      and not exists (select from engine.attempt d where d.job_id = u.id and d.attempt = u.attempt)
    limit 1
) c on true
left join lateral (
    select attempt from engine.waiting where position = j.id and j.limit_key is not null
    union all
    select attempt from engine.waiting where job_id = j.id and position <> job_id and j.limit_key is not null
    limit 1
) w on true
left join lateral (
    select * from engine.attempt where job_id = j.id order by attempt desc limit 1
) a on true;

-- Takes a job out of ready, scheduled, waiting or parked and ends it as cancelled, with these words in the ledger.
-- Returns where it stands: `cancelled` (by this call), `running`, `already` and its end, or null while it moves between
-- places. The request of a job that had ended is taken back.
-- Locks: the job's place; what give_back locks.
create or replace function engine.cancel_waiting(job_id bigint, words text) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    standing text;
begin
    with place as (
        delete from engine.ready r using engine.job j
        where j.id = $1 and r.job_id = $1 and ((r.lane_id = j.lane_id and r.position = $1) or r.position <> r.job_id)
        returning r.attempt
    ),
    later as (
        delete from engine.scheduled s where s.job_id = $1 returning s.attempt
    ),
    queued as (
        delete from engine.waiting w where w.job_id = $1 and (w.position = $1 or w.position <> w.job_id) returning w.attempt
    ),
    parked as (
        delete from engine.parked p where p.job_id = $1 returning p.attempt
    ),
    ended as (
        insert into engine.attempt (job_id, attempt, started_at, finished_at, outcome, error)
        select $1, p.attempt, engine.now(), engine.now(), 'cancelled', $2
        from (select attempt from place union all select attempt from later union all select attempt from queued
              union all select attempt from parked) p
        on conflict do nothing
        returning finished_at
    ),
    freed as (
        delete from engine.unique_key u where u.job_id = $1 and exists (select from ended)
    ),
    answered as (
        delete from engine.cancel_request r where r.job_id = $1 and exists (select from ended)
    ),
    unwaited as (
        delete from engine.event_wait w where w.job_id = $1 and exists (select from ended)
    ),
    child as (
        delete from engine.child c where c.job_id = $1 and exists (select from ended) returning c.*
    ),
    told as (
        insert into engine.child_end (parent_id, position, n, job_id, ended_at, outcome, error)
        select c.parent_id, c.position, c.n, c.job_id, e.finished_at, 'cancelled', $2 from child c, ended e
    ),
    followed as (
        insert into engine.aftermath (job_id, ended_at)
        select $1, e.finished_at from ended e where exists (select from engine.step s where s.job_id = $1)
        on conflict do nothing
    )
    select case
        when exists (select from ended) then 'cancelled'
        when exists (
            select from engine.claim c, unnest(c.ids, c.attempts) u (id, attempt)
            where c.ids @> array[$1] and u.id = $1
              and not exists (select from engine.attempt a where a.job_id = u.id and a.attempt = u.attempt)) then 'running'
        else (
            select 'already ' || a.outcome from engine.attempt a
            where a.job_id = $1 and a.outcome in ('completed', 'cancelled', 'dead')
            limit 1)
    end into standing;
    if standing = 'cancelled' then
        perform engine.give_back(array[$1]);
    elsif standing like 'already %' then
        delete from engine.cancel_request r where r.job_id = $1;
    end if;
    return standing;
end
$$;
