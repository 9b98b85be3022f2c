-- Workflows without end: one begins anew, with other arguments and nothing kept of what it did but what it still owes.
--
-- It stays the same job, so whatever holds it, waits for it or limits it needs no change. Its history is one row of kind
-- `continue` with the new arguments, and what comes after; positions go on, so that open children and what undoes earlier
-- steps keep theirs. Attempts that ended to wait are thinned out as snoozes are.
--
-- Locks: access exclusive on engine.step, for a moment. Its rows were let in by a stricter rule, so they are not read again.

alter table engine.step drop constraint step_kind_check;
alter table engine.step add constraint step_kind_check
    check (kind in ('step', 'outside', 'value', 'sleep', 'wait', 'emit', 'child', 'join', 'patch', 'undo', 'continue')) not valid;

create or replace function engine.collapse_snoozes(job_ids bigint[]) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    gone bigint;
begin
    delete from engine.attempt a
    using (
        select i.job_id, max(l.attempt) as last
        from unnest(job_ids) i (job_id)
        join engine.attempt l on l.job_id = i.job_id
        group by i.job_id
    ) known
    where a.job_id = known.job_id and a.outcome in ('snoozed', 'waiting') and a.attempt <= known.last - 16
      and a.finished_at < engine.now() - interval '10 minutes'
      and not exists (select from engine.claim c, unnest(c.ids, c.attempts) u (id, attempt) where u.id = a.job_id and u.attempt = a.attempt);
    get diagnostics gone = row_count;
    return gone;
end
$$;

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

create or replace function engine.restart_workflow(workflow bigint, from_step integer, asked_by text) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    old record;
    fresh record;
begin
    select j.id, j.state, j.queue, j.kind, j.priority, j.args, j.unique_key, j.limit_key, d.max_attempts, d.trace_parent, w.steps, w.last, b.base, b.args as continued into old
    from engine.job_state j
    join engine.job d on d.id = j.id
    cross join lateral (select count(*)::integer as steps, max(s.position) as last from engine.step s where s.job_id = j.id) w
    left join lateral (
        select s.position as base, s.result -> 'args' as args from engine.step s where s.job_id = j.id and s.kind = 'continue'
    ) b on true
    where j.id = workflow;
    if old.id is null or old.steps = 0 then
        raise exception 'there is no workflow %', workflow using errcode = 'RW020';
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
    insert into engine.restart (job_id, restarted_from, from_step, restarted_at, restarted_by)
    values (fresh.id, workflow, from_step, engine.now(), asked_by);
    return fresh.id;
end
$$;
