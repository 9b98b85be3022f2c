-- Children of workflows, what undoes their steps, and what is left to do after a workflow was cancelled or died.
--
-- A child is a job whose end its parent reads. No counter is kept, which ten thousand children would fight for: an open
-- child is one row, and the statement that ends it turns that row into the record of its end. A parent that waits is woken
-- when no open row of the steps it waits for is left.
-- Locks: creates new objects, and replaces one function.

create table engine.child (
    job_id bigint primary key,
    parent_id bigint not null,
    position integer not null,
    n integer not null,
    stays boolean not null default false
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
create index child_open on engine.child (parent_id, position);
comment on table engine.child is 'Children of workflows that have not ended, by the step that made them.';
comment on column engine.child.stays is 'It goes on when its parent is cancelled or dies.';

create table engine.child_end (
    parent_id bigint not null,
    position integer not null,
    n integer not null,
    job_id bigint not null,
    ended_at timestamptz not null,
    outcome text not null check (outcome in ('completed', 'cancelled', 'dead')),
    category text,
    error text,
    output jsonb,
    primary key (parent_id, position, n)
);
comment on table engine.child_end is 'How children of workflows ended, for their parents to read. Goes with the parent.';

create table engine.compensation (
    job_id bigint not null,
    position integer not null,
    n integer not null,
    queue text not null,
    kind text not null,
    priority smallint not null,
    max_attempts smallint,
    args jsonb not null,
    undone_at timestamptz,
    undone_by bigint,
    primary key (job_id, position, n)
);
comment on table engine.compensation is 'The jobs that undo what a workflow did, should it die or be cancelled; the last one first.';
comment on column engine.compensation.undone_by is 'The job that undid it.';

create table engine.aftermath (
    job_id bigint primary key,
    ended_at timestamptz not null,
    reached boolean not null default false
);
comment on table engine.aftermath is 'Workflows that were cancelled or died, until their children are stopped and their undoing is enqueued.';
comment on column engine.aftermath.reached is 'Every child was asked to stop.';

create index parked_parents on engine.parked (job_id) where waits_for = 'children';

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
    if standing like 'already %' then
        delete from engine.cancel_request r where r.job_id = $1;
    end if;
    return standing;
end
$$;

-- Does what is left after workflows were cancelled or died: asks their open children to stop, and when none is left
-- that was asked, enqueues the job that undoes their steps. Deals with `most` workflows and children at most.
-- Returns how many it dealt with. One that cannot be dealt with keeps nobody else.
-- Locks: rows of aftermath, skip locked; the places of children.
create function engine.settle_aftermath(most integer default 500) returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    ended record;
    dealt_with integer := 0;
begin
    for ended in
        select a.job_id, a.reached from engine.aftermath a
        where not a.reached
           or not exists (select from engine.child c where c.parent_id = a.job_id and not c.stays)
        order by a.job_id
        limit most
        for update skip locked
    loop
        exit when dealt_with >= most;
        begin
            if ended.reached then
                perform engine.enqueue_unwind(ended.job_id);
                delete from engine.aftermath a where a.job_id = ended.job_id;
                dealt_with := dealt_with + 1;
            else
                dealt_with := dealt_with + 1 + engine.stop_children(ended.job_id, most - dealt_with);
            end if;
        exception when others then
            raise warning 'what is left after workflow % waits: %', ended.job_id, sqlerrm;
        end;
    end loop;
    return dealt_with;
end
$$;

-- Asks up to `most` open children of a workflow to stop; returns how many.
create function engine.stop_children(parent bigint, most integer) returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    open record;
    asked integer := 0;
    words text := format('its workflow %s was cancelled or died', parent);
begin
    for open in
        select c.job_id from engine.child c
        where c.parent_id = parent and not c.stays and not exists (select from engine.cancel_request r where r.job_id = c.job_id)
        order by c.job_id
        limit most
    loop
        insert into engine.cancel_request (job_id, requested_by, reason) values (open.job_id, 'the engine', words)
        on conflict do nothing;
        -- What is between two places at this moment, or runs, meets the request later.
        perform engine.cancel_waiting(open.job_id, words);
        asked := asked + 1;
    end loop;
    if asked < most then
        update engine.aftermath a set reached = true where a.job_id = parent;
    end if;
    return asked;
end
$$;

-- Enqueues the job that undoes what a workflow did, if there is something to undo.
create function engine.enqueue_unwind(workflow bigint) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from engine.compensation c where c.job_id = workflow and c.undone_at is null) then
        perform e.id
        from engine.job j
        join engine.lane l on l.id = j.lane_id
        cross join lateral engine.enqueue('engine.unwind', jsonb_build_object('workflow', workflow::text), l.queue, l.priority,
            unique_key => workflow::text, parent_id => workflow) e
        where j.id = workflow;
    end if;
end
$$;
