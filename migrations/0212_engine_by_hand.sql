-- What operators do by hand does what it says.
--
-- A dead workflow that was restarted kept its letter open, and whoever requeued that ran it a second time. Where its queue was full
-- the answer was that there is no such workflow: both refusals had one code. A letter's job ran as often as the policy allows,
-- even one that was to be tried once only. A schedule that was run by hand made a job without the limit key, the deadline and
-- the uniqueness that its other jobs have.
-- Locks: none. At run time the letter.

create or replace function engine.restart_workflow(workflow bigint, from_step integer, asked_by text) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    old record;
    fresh record;
begin
    -- Whoever deals with its letter at this moment goes first.
    perform d.id from engine.dead_letter_queue d where d.job_id = workflow and not d.resolved for update;
    select j.id, j.state, j.queue, j.kind, j.priority, j.args, j.unique_key, j.limit_key, d.max_attempts, d.trace_parent, w.steps, w.last, b.base, b.args as continued into old
    from engine.job_state j
    join engine.job d on d.id = j.id
    cross join lateral (select count(*)::integer as steps, max(s.position) as last from engine.step s where s.job_id = j.id) w
    left join lateral (
        select s.position as base, s.result -> 'args' as args from engine.step s where s.job_id = j.id and s.kind = 'continue'
    ) b on true
    where j.id = workflow;
    if old.id is null or old.steps = 0 then
        raise exception 'there is no workflow %', workflow using errcode = 'RW024';
    end if;
    if old.state not in ('completed', 'cancelled', 'dead') then
        raise exception 'workflow % is %: cancel it first', workflow, old.state using errcode = 'RW021';
    end if;
    if from_step not between 1 and old.last + 1 then
        raise exception 'workflow % has % steps: restart it from step 1 to %', workflow, old.last, old.last + 1 using errcode = 'RW022';
    end if;
    if from_step > 1 and from_step <= old.base then
        raise exception 'what workflow % did before step %, where it began anew, is not kept: restart it from step 1, or from % to %',
            workflow, old.base, old.base + 1, old.last + 1 using errcode = 'RW022';
    end if;
    if from_step > 1 and (exists (select from engine.compensation c where c.job_id = workflow and c.position < from_step)
            and old.state <> 'completed') then
        raise exception 'what workflow % did is undone, or will be: restart it from step 1', workflow using errcode = 'RW023';
    end if;
    select e.id, e.created into fresh
    from engine.enqueue(old.kind, case when from_step > old.base then old.continued else old.args end, old.queue, old.priority, unique_key => old.unique_key, limit_key => old.limit_key,
        max_attempts => old.max_attempts, trace_parent => old.trace_parent) e;
    if not fresh.created then
        raise exception 'job % holds the unique key of workflow % and is still alive', fresh.id, workflow using errcode = 'RW012';
    end if;
    perform engine.inherit_steps(workflow, fresh.id, from_step);
    update engine.dead_letter_queue d
    set resolved = true, resolved_at = engine.now(), resolved_by = asked_by, requeued_job_id = fresh.id,
        resolution = format('restarted from step %s', from_step)
    where d.job_id = workflow and not d.resolved;
    insert into engine.restart (job_id, restarted_from, from_step, restarted_at, restarted_by)
    values (fresh.id, workflow, from_step, engine.now(), asked_by);
    return fresh.id;
end
$$;

create or replace function engine.requeue_letter(letter uuid, asked_by text, new_args jsonb DEFAULT NULL::jsonb) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    dead engine.dead_letter_queue := engine.lock_letter($1);
    fresh record;
    goes_on boolean;
    args jsonb := coalesce($3, dead.payload);
begin
    if dead.job_id is null then
        raise exception 'dead letter % has no job of this engine to run again', $1 using errcode = 'RW013';
    end if;
    goes_on := $3 is null and dead.topic <> 'engine.unwind' and not exists (select from engine.compensation c where c.job_id = dead.job_id);
    if goes_on then
        args := coalesce((select s.result -> 'args' from engine.step s where s.job_id = dead.job_id and s.kind = 'continue'), args);
    end if;
    select e.id, e.created into fresh
    from engine.enqueue(dead.topic, args, coalesce(dead.queue, 'default'), coalesce(dead.priority, 5::smallint),
        unique_key => dead.unique_key, limit_key => dead.limit_key, requeued_from => dead.id,
        max_attempts => (select j.max_attempts from engine.job j where j.id = dead.job_id),
        trace_parent => (select j.trace_parent from engine.job j where j.id = dead.job_id)) e;
    if not fresh.created then
        raise exception 'dead letter % stays: job % holds its unique key and is still alive', $1, fresh.id
            using errcode = 'RW012', detail = fresh.id::text;
    end if;
    if goes_on and engine.inherit_steps(dead.job_id, fresh.id, 2147483647) > 0 then
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

drop function engine.run_schedule(text, timestamptz, text, text, text, jsonb, text, smallint, text, smallint);
create function engine.run_schedule(schedule text, at timestamp with time zone, asked_by text, note text, kind text, args jsonb, queue text, priority smallint, unique_key text, max_attempts smallint,
    limit_key text default null, deadline timestamp with time zone default null, unique_args boolean default false,
    unique_for interval default null, unique_until_started boolean default false, replaces boolean default false) returns TABLE(id bigint, created boolean, queue_depth bigint, queue_age_ms bigint)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
    made record;
begin
    if not exists (select from engine.schedule s where s.name = schedule) then
        raise exception 'there is no schedule %', schedule using errcode = 'RW014';
    end if;
    select * into made from engine.enqueue(kind, args, queue, priority, unique_key => unique_key, max_attempts => max_attempts,
        limit_key => limit_key, deadline => deadline, unique_args => unique_args, unique_for => unique_for,
        unique_until_started => unique_until_started, replaces => replaces) e;
    insert into engine.occurrence (schedule, occurrence, job_id, how, by, note)
    values (schedule, at, made.id, 'manual', asked_by,
        case when made.created then note else 'no new job: this one holds the unique key' end);
    return query select made.id, made.created, made.queue_depth, made.queue_age_ms;
end
$$;
