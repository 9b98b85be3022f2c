-- Workflows for people: where each stands, and running one again from one of its steps.
--
-- Requeueing the dead letter of a workflow goes on where it failed, since what it has done is kept; to do it all anew its
-- arguments are given again. A workflow that was undone begins anew.
-- Locks: creates new objects, and replaces one function.

create table engine.restart (
    job_id bigint primary key,
    restarted_from bigint not null,
    from_step integer not null,
    restarted_at timestamptz not null,
    restarted_by text not null
);
comment on table engine.restart is 'Workflows that took over the first steps of another.';

create view engine.workflow_state as
select
    w.job_id, j.queue, j.kind, j.state, j.attempt, j.created_at, j.run_at as wakes_at, j.finished_at, j.category, j.error,
    w.steps, s.kind as last_act, s.name as last_name,
    p.waits_for, e.name as event, e.key as event_key,
    coalesce(o.children, 0) as children_open, coalesce(d.children, 0) as children_ended,
    coalesce(c.noted, 0) as compensations, coalesce(c.undone, 0) as undone,
    r.restarted_from
from (select job_id, count(*)::integer as steps, max(position) as last from engine.step group by job_id) w
join engine.job_state j on j.id = w.job_id
join engine.step s on s.job_id = w.job_id and s.position = w.last
left join engine.parked p on p.job_id = w.job_id
left join engine.event_wait e on e.job_id = w.job_id and p.waits_for = 'event'
left join engine.restart r on r.job_id = w.job_id
left join lateral (select count(*)::integer as children from engine.child where parent_id = w.job_id) o on true
left join lateral (select count(*)::integer as children from engine.child_end where parent_id = w.job_id) d on true
left join lateral (
    select count(*)::integer as noted, count(undone_at)::integer as undone from engine.compensation where job_id = w.job_id
) c on true;
comment on view engine.workflow_state is 'Where each workflow stands and what it waits for. Ask by job_id: it looks into every place for each one.';

-- Lets workflow `fresh` take over what `old`, which has ended, did before step `before`; returns how many steps. Children that
-- did not end before it are made anew, but for those that stay, which are taken over.
create function engine.inherit_steps(old bigint, fresh bigint, before integer) returns integer
language plpgsql
as $$
declare
    ended timestamptz;
    upto integer;
    inherited integer;
begin
    select a.finished_at into ended from engine.attempt a
    where a.job_id = old and a.outcome in ('completed', 'cancelled', 'dead');
    select least(before,
        (select min(c.position) from engine.child c where c.parent_id = old and not c.stays),
        (select min(e.position) from engine.child_end e where e.parent_id = old and e.outcome = 'cancelled' and e.ended_at >= ended))
    into upto;
    insert into engine.step (job_id, position, attempt, kind, name, begun_at, ended_at, until, key, event_id, result)
    select fresh, s.position, 0, s.kind, s.name, s.begun_at, s.ended_at, s.until, s.key, s.event_id, s.result
    from engine.step s where s.job_id = old and s.position < upto;
    get diagnostics inherited = row_count;
    insert into engine.child_end (parent_id, position, n, job_id, ended_at, outcome, category, error, output)
    select fresh, e.position, e.n, e.job_id, e.ended_at, e.outcome, e.category, e.error, e.output
    from engine.child_end e where e.parent_id = old and e.position < upto;
    update engine.child c set parent_id = fresh where c.parent_id = old and c.stays and c.position < upto;
    insert into engine.compensation (job_id, position, n, queue, kind, priority, max_attempts, args)
    select fresh, c.position, c.n, c.queue, c.kind, c.priority, c.max_attempts, c.args
    from engine.compensation c where c.job_id = old and c.position < upto;
    return inherited;
end
$$;

-- Runs a workflow that has ended again, as a new job that takes over what it did before step `from_step`; 1 begins anew.
-- The old one stays as it is. Returns the new job.
-- Errors: RW020 when there is no such workflow, RW021 when it has not ended, RW022 for a step that it did not reach, RW023
-- when it was undone, or is to be, and a later step than the first is asked for; RW012 when a live job holds its unique key.
create function engine.restart_workflow(workflow bigint, from_step integer, asked_by text) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    old record;
    fresh record;
begin
    select j.id, j.state, j.queue, j.kind, j.priority, j.args, j.unique_key, j.limit_key, d.max_attempts, w.steps into old
    from engine.job_state j
    join engine.job d on d.id = j.id
    cross join lateral (select count(*)::integer as steps from engine.step s where s.job_id = j.id) w
    where j.id = workflow;
    if old.id is null or old.steps = 0 then
        raise exception 'there is no workflow %', workflow using errcode = 'RW020';
    end if;
    if old.state not in ('completed', 'cancelled', 'dead') then
        raise exception 'workflow % is %: cancel it first', workflow, old.state using errcode = 'RW021';
    end if;
    if from_step not between 1 and old.steps + 1 then
        raise exception 'workflow % has % steps: restart it from step 1 to %', workflow, old.steps, old.steps + 1 using errcode = 'RW022';
    end if;
    if from_step > 1 and (exists (select from engine.compensation c where c.job_id = workflow and c.position < from_step)
            and old.state <> 'completed') then
        raise exception 'what workflow % did is undone, or will be: restart it from step 1', workflow using errcode = 'RW023';
    end if;
    select e.id, e.created into fresh
    from engine.enqueue(old.kind, old.args, old.queue, old.priority, unique_key => old.unique_key, limit_key => old.limit_key,
        max_attempts => old.max_attempts) e;
    if not fresh.created then
        raise exception 'job % holds the unique key of workflow % and is still alive', fresh.id, workflow using errcode = 'RW012';
    end if;
    perform engine.inherit_steps(workflow, fresh.id, from_step);
    insert into engine.restart (job_id, restarted_from, from_step, restarted_at, restarted_by)
    values (fresh.id, workflow, from_step, engine.now(), asked_by);
    return fresh.id;
end
$$;

-- Runs a dead letter's job again, as a new job with a clean count of attempts; `new_args` replaces its arguments. A workflow
-- goes on where it failed, unless its arguments are replaced or what it did is undone.
-- Returns the new job. Errors: those of lock_letter; RW012 when a live job holds the letter's unique key, with that job
-- as the detail; RW013 when the letter is of no job of the engine.
create or replace function engine.requeue_letter(letter uuid, asked_by text, new_args jsonb default null) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    dead engine.dead_letter_queue := engine.lock_letter($1);
    fresh record;
begin
    if dead.job_id is null then
        raise exception 'dead letter % has no job of this engine to run again', $1 using errcode = 'RW013';
    end if;
    select e.id, e.created into fresh
    from engine.enqueue(dead.topic, coalesce($3, dead.payload), coalesce(dead.queue, 'default'), coalesce(dead.priority, 5::smallint),
        unique_key => dead.unique_key, limit_key => dead.limit_key, requeued_from => dead.id) e;
    if not fresh.created then
        raise exception 'dead letter % stays: job % holds its unique key and is still alive', $1, fresh.id
            using errcode = 'RW012', detail = fresh.id::text;
    end if;
    if $3 is null and dead.topic <> 'engine.unwind' and not exists (select from engine.compensation c where c.job_id = dead.job_id)
        and engine.inherit_steps(dead.job_id, fresh.id, 2147483647) > 0
    then
        insert into engine.restart (job_id, restarted_from, from_step, restarted_at, restarted_by)
        select fresh.id, dead.job_id, 1 + max(s.position), engine.now(), $2 from engine.step s where s.job_id = fresh.id;
    end if;
    update engine.dead_letter_queue d
    set resolved = true, resolved_at = engine.now(), resolved_by = $2, requeued_job_id = fresh.id,
        resolution = case when $3 is null then 'requeued' else 'requeued with other arguments' end
    where d.id = $1;
    return fresh.id;
end
$$;
