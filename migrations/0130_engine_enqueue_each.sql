-- Jobs of one kind, many in one call: what a trigger of a statement, or an application's own SQL, has to say at once.
-- A job costs a tenth of what a call of engine.enqueue does.
--
-- Locks: creates a function only.

create function engine.enqueue_each(
    kind text, queue text, args jsonb[], unique_keys text[], run_at timestamptz[] default null, trace_parents text[] default null
) returns bigint
language plpgsql
as $$
#variable_conflict use_column
declare
    at timestamptz := engine.now();
    lane integer;
    depth bigint;
    most bigint;
    made bigint;
    any_ready boolean;
begin
    if array_position(enqueue_each.args, null) is not null then
        raise exception 'a job of kind % needs arguments: pass {} for none', enqueue_each.kind using errcode = 'RW002';
    end if;
    -- The claimers' floor trusts that whoever takes a position already has a transaction id.
    perform pg_current_xact_id();
    lane := engine.lane_of(enqueue_each.queue, enqueue_each.kind, 5::smallint);

    with new as materialized (
        select n, nextval('engine.position') as id, u.args, u.unique_key, u.trace_parent, case when u.run_at > at then u.run_at end as run_at
        from unnest(enqueue_each.args, enqueue_each.unique_keys, enqueue_each.run_at, enqueue_each.trace_parents)
            with ordinality u (args, unique_key, run_at, trace_parent, n)
    ),
    keyed as (
        insert into engine.unique_key (kind, key, job_id)
        select enqueue_each.kind, unique_key, id from new where unique_key is not null
        order by unique_key, n
        on conflict (kind, key) do nothing
        returning job_id
    ),
    fresh as materialized (
        select * from new where unique_key is null or id in (select job_id from keyed)
    ),
    described as (
        insert into engine.job (id, lane_id, created_at, args, unique_key, trace_parent)
        select id, lane, at, args, unique_key, engine.trace_parent(trace_parent) from fresh
    ),
    now_ready as (
        insert into engine.ready (lane_id, attempt, position, job_id)
        select lane, 1, id, id from fresh where run_at is null
    ),
    later as (
        insert into engine.scheduled (run_at, job_id, lane_id, attempt, keyed)
        select run_at, id, lane, 1, false from fresh where run_at is not null
    )
    select count(*), bool_or(run_at is null) into made, any_ready from fresh;

    -- Whoever asks again for jobs that are there is not refused.
    select q.depth_limit into most from engine.queue q where q.name = enqueue_each.queue;
    if made > 0 and most is not null then
        select coalesce(sum(f.ready), 0) into depth
        from engine.lane l join engine.lane_figures f on f.lane_id = l.id where l.queue = enqueue_each.queue;
        if depth >= most then
            raise exception 'queue % is full: % jobs of it are ready, and its limit is %', enqueue_each.queue, depth, most
                using errcode = 'RW020', hint = 'Try again when some have run, or let an operator raise the limit.';
        end if;
    end if;
    if any_ready then
        perform engine.wake();
    end if;
    return made;
end
$$;
comment on function engine.enqueue_each(text,text,jsonb[],text[],timestamptz[],text[]) is
    'Enqueues a job for each element; one whose unique key a live job holds makes none. Returns how many it made.';
revoke all on function engine.enqueue_each(text,text,jsonb[],text[],timestamptz[],text[]) from public;
