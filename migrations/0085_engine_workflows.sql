-- Workflows: what a job has done so far, what it waits for, and the events that it waits for.
--
-- A workflow is a job whose steps are rows. An attempt that has to wait ends as `waiting`, and the job stands in
-- `scheduled` (a sleep) or in `parked` (an event, its children) until it runs again and passes over what it has done.
-- Why three tables for events: an event is a fact, kept for a time; a wait goes when its event comes; and the two meet in
-- one row of `topic`, so that an event which comes first, or at the same moment, is never lost.
-- Locks: creates new objects, and replaces views and one function.

create table engine.step (
    job_id bigint not null,
    position integer not null check (position > 0),
    attempt integer not null,
    kind text not null check (kind in ('step', 'outside', 'value', 'sleep', 'wait', 'emit', 'child', 'join', 'patch', 'undo')),
    name text not null check (name <> '' and length(name) <= 200),
    begun_at timestamptz not null,
    ended_at timestamptz,
    until timestamptz,
    key text,
    event_id bigint,
    result jsonb,
    primary key (job_id, position),
    constraint step_result_size check (result is null or octet_length(result::text) <= 1048576)
);
comment on table engine.step is 'What workflows have done, in order: a step that has ended is never done again. Goes with the job.';
comment on column engine.step.attempt is 'The attempt that began it.';
comment on column engine.step.ended_at is 'Null while it waits; a sleep ends at `until`.';
comment on column engine.step.until is 'When a sleep ends, or a wait gives up.';

create table engine.topic (
    name text not null,
    key text not null,
    touched_at timestamptz not null,
    primary key (name, key)
) with (fillfactor = 50);
comment on table engine.topic is 'Where emit and wait meet: both change this row first, and only then look. It says nothing and may go when idle.';

create table engine.event (
    id bigint generated always as identity,
    name text not null check (name <> '' and length(name) <= 200),
    key text not null check (length(key) <= 500),
    emitted_at timestamptz not null,
    idempotency_key text check (length(idempotency_key) <= 500),
    payload jsonb not null,
    primary key (name, key, id),
    constraint event_payload_size check (octet_length(payload::text) <= 1048576)
);
create unique index event_once on engine.event (name, key, idempotency_key) where idempotency_key is not null;
create index event_age on engine.event (emitted_at);
comment on table engine.event is 'What happened, by name and correlation key. Of one name and key, ids grow in the order of commits.';

create table engine.event_wait (
    job_id bigint primary key,
    name text not null,
    key text not null,
    after bigint not null,
    since timestamptz not null
);
create index event_wait_topic on engine.event_wait (name, key);
comment on table engine.event_wait is 'The event that each workflow waits for. The row goes when the event comes: then the job does not stay parked.';
comment on column engine.event_wait.after is 'The last event of this name and key that the job has had.';

create table engine.parked (
    job_id bigint primary key,
    lane_id integer not null,
    attempt integer not null,
    waits_for text not null check (waits_for in ('event', 'children')),
    children integer[],
    parked_at timestamptz not null,
    wake_at timestamptz
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
create index parked_wake on engine.parked (wake_at) where wake_at is not null;
comment on table engine.parked is 'Workflows that wait for an event or for children.';
comment on column engine.parked.children is 'The positions of the steps that made the children it waits for.';

-- Puts parked jobs back into their places; returns how many were still parked.
-- Locks: their rows of parked, in order.
create function engine.unpark(ids bigint[]) returns integer
language plpgsql
as $$
declare
    gone record;
    woken integer := 0;
begin
    if ids is null or cardinality(ids) = 0 then
        return 0;
    end if;
    -- The claimers' floor trusts that whoever takes a position already has a transaction id.
    perform pg_current_xact_id();
    for gone in
        delete from engine.parked p
        where p.ctid = any (array(select o.ctid from engine.parked o where o.job_id = any (ids) order by o.job_id for update))
        returning p.job_id, p.lane_id, p.attempt
    loop
        perform engine.put_in_place(gone.job_id, gone.lane_id, gone.attempt, null,
            (select j.limit_key from engine.job j where j.id = gone.job_id));
        woken := woken + 1;
    end loop;
    return woken;
end
$$;

-- Says that something happened, in the caller's transaction, and wakes the workflows that wait for it.
--
-- Returns the event, whether this call made it, and how many workflows it woke. With an idempotency key the same call
-- again makes nothing; with another payload it is an error of SQLSTATE RW001. Until the transaction ends, others that emit
-- or wait for the same name and key wait for it.
create function engine.emit(name text, key text, payload jsonb default 'null', idempotency_key text default null)
returns table (id bigint, created boolean, woken integer)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    made bigint;
    held jsonb;
    waiters bigint[];
begin
    if emit.name is null or emit.key is null or emit.payload is null then
        raise exception 'an event needs a name, a key and a payload: pass an empty key or a JSON null for none' using errcode = 'RW002';
    end if;
    insert into engine.topic (name, key, touched_at) values (emit.name, emit.key, engine.now())
    on conflict (name, key) do update set touched_at = excluded.touched_at;
    -- From here on nobody else is between looking and waiting: each statement sees all that came before.
    insert into engine.event (name, key, emitted_at, idempotency_key, payload)
    values (emit.name, emit.key, engine.now(), emit.idempotency_key, emit.payload)
    on conflict do nothing
    returning event.id into made;
    if made is null then
        select e.id, e.payload into made, held from engine.event e
        where e.name = emit.name and e.key = emit.key and e.idempotency_key = emit.idempotency_key;
        if held <> emit.payload then
            raise exception 'idempotency key % was used before for event % with another payload: use a new key', emit.idempotency_key, made
                using errcode = 'RW001';
        end if;
        return query select made, false, 0;
        return;
    end if;
    with gone as (
        delete from engine.event_wait w where w.name = emit.name and w.key = emit.key returning w.job_id
    )
    select array_agg(g.job_id) into waiters from gone g;
    return query select made, true, engine.unpark(waiters);
end
$$;

create or replace view engine.place as
select job_id, attempt, 'ready' as name from engine.ready
union all
select job_id, attempt, 'scheduled' from engine.scheduled
union all
select u.job_id, u.attempt, format('claim %s of worker %s', c.id, c.worker_id)
from engine.claim c, unnest(c.ids, c.attempts) u (job_id, attempt)
where not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt)
union all
select job_id, attempt, 'parked' from engine.parked;

create or replace view engine.job_state as
select
    j.id, l.queue, l.kind, l.priority, j.created_at, j.args, j.unique_key, j.limit_key, j.parent_id, j.requeued_from,
    coalesce(r.attempt, s.attempt, c.attempt, p.attempt, a.attempt) as attempt,
    coalesce(s.run_at, p.wake_at) as run_at, c.worker_id, c.claimed_at, a.finished_at, a.category, a.error, a.output,
    case
        when r.attempt is not null then 'ready'
        when s.attempt is not null then 'scheduled'
        when c.attempt is not null then 'running'
        when p.attempt is not null then 'parked'
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
    select * from engine.attempt where job_id = j.id order by attempt desc limit 1
) a on true;

-- Takes a job out of ready, scheduled or parked and ends it as cancelled, with these words in the ledger.
-- Returns where it stands: `cancelled` (by this call), `running`, `already` and its end, or null while it moves between
-- places. The request of a job that had ended is taken back.
-- Locks: the job's place.
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
    parked as (
        delete from engine.parked p where p.job_id = $1 returning p.attempt
    ),
    ended as (
        insert into engine.attempt (job_id, attempt, started_at, finished_at, outcome, error)
        select $1, p.attempt, engine.now(), engine.now(), 'cancelled', $2
        from (select attempt from place union all select attempt from later union all select attempt from parked) p
        on conflict do nothing
        returning 1
    ),
    freed as (
        delete from engine.unique_key u where u.job_id = $1 and exists (select from ended)
    ),
    answered as (
        delete from engine.cancel_request r where r.job_id = $1 and exists (select from ended)
    ),
    unwaited as (
        delete from engine.event_wait w where w.job_id = $1 and exists (select from ended)
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
    if standing like 'already %' then
        delete from engine.cancel_request r where r.job_id = $1;
    end if;
    return standing;
end
$$;
