-- 1. What undoes a step keeps its limit key: a mass undoing ran without the limits that its jobs were given.
-- 2. Whoever cancels a workflow that waits for an event and whoever emits that event lock first the wait and then its place, waits in the
--    order of jobs: each began with what the other locked last, so that one of them failed with a deadlock.
-- Locks: engine.compensation in access exclusive mode, for a moment.

alter table engine.compensation add column limit_key text;
comment on column engine.compensation.limit_key is 'The key whose limit the job counts against.';

create or replace function engine.inherit_steps(old bigint, fresh bigint, before integer) returns integer
language plpgsql
as $$
declare
    ended timestamptz;
    upto integer;
    inherited integer;
    base integer := coalesce((select s.position from engine.step s where s.job_id = old and s.kind = 'continue'), 0);
begin
    select a.finished_at into ended from engine.attempt a
    where a.job_id = old and a.outcome in ('completed', 'cancelled', 'dead');
    select least(before,
        (select min(c.position) from engine.child c where c.parent_id = old and not c.stays and c.position > base),
        (select min(e.position) from engine.child_end e where e.parent_id = old and e.position > base and e.outcome = 'cancelled' and e.ended_at >= ended))
    into upto;
    insert into engine.step (job_id, position, attempt, kind, name, begun_at, ended_at, until, key, event_id, result)
    select fresh, s.position, 0, s.kind, s.name, s.begun_at, s.ended_at, s.until, s.key, s.event_id, s.result
    from engine.step s where s.job_id = old and s.position < upto;
    get diagnostics inherited = row_count;
    -- First: whoever ends one at this moment is waited for, and the next statement sees that end.
    update engine.child c set parent_id = fresh where c.parent_id = old and c.stays and c.position < upto;
    insert into engine.child_end (parent_id, position, n, job_id, ended_at, outcome, category, error, output)
    select fresh, e.position, e.n, e.job_id, e.ended_at, e.outcome, e.category, e.error, e.output
    from engine.child_end e where e.parent_id = old and e.position < upto;
    insert into engine.compensation (job_id, position, n, queue, kind, priority, max_attempts, args, limit_key)
    select fresh, c.position, c.n, c.queue, c.kind, c.priority, c.max_attempts, c.args, c.limit_key
    from engine.compensation c where c.job_id = old and c.position < upto;
    return inherited;
end
$$;

create or replace function engine.cancel_waiting(job_id bigint, words text) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    standing text;
begin
    -- Of one that is not parked yet the wait is left to whoever parks it, who would take a locked one for over.
    perform from engine.event_wait w where w.job_id = $1 and exists (select from engine.parked p where p.job_id = $1) for update of w;
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

create or replace function engine.emit(name text, key text, payload jsonb DEFAULT 'null'::jsonb, idempotency_key text DEFAULT NULL::text) returns TABLE(id bigint, created boolean, woken integer)
language plpgsql security definer
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
    insert into engine.event (name, key, emitted_at, idempotency_key, payload, trace_parent)
    values (emit.name, emit.key, engine.now(), emit.idempotency_key, emit.payload, engine.trace_parent(null))
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
        delete from engine.event_wait w
        where w.ctid = any (array(
            select o.ctid from engine.event_wait o where o.name = emit.name and o.key = emit.key order by o.job_id for update))
        returning w.job_id
    )
    select array_agg(g.job_id) into waiters from gone g;
    return query select made, true, engine.unpark(waiters);
end
$$;
