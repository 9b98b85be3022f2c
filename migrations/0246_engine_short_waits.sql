-- 1. A transaction that goes on and holds what a request to cancel wants, as that of somebody who emits, stops neither promotion nor
--    rescue: whoever settles requests and aftermaths waits for no lock longer than a moment. Each keeper waited ten seconds, left its
--    session behind, and began again.
-- 2. An undoing that a full queue refuses keeps no other aftermath waiting.
-- 3. A letter whose workflow was undone, or will be, begins anew when it is requeued, and asks outside systems under new keys. It asked
--    under those of before, whose effects were undone. One that goes on has the old keys also for the steps that it has to repeat.
-- 4. engine.restart says from which step a workflow runs again, where a child that was stopped makes that an earlier one than was asked for.
-- Locks: none that lasts. At run time: as before, and none for long.

create or replace function engine.settle_cancels(most integer DEFAULT 100) returns integer
language plpgsql security definer
set lock_timeout = '10ms'
set search_path = pg_catalog, pg_temp
as $$
declare
    asked record;
    settled integer := 0;
    waited integer := 0;
begin
    for asked in
        select r.job_id, r.requested_by, r.reason from engine.cancel_request r
        where r.requested_at < engine.now() - interval '1 second'
          and not exists (
              select from engine.claim c, unnest(c.ids, c.attempts) u (job_id, attempt)
              where u.job_id = r.job_id
                and not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt))
        -- Those that have to wait keep not the same others from their turn each time.
        order by random()
        limit most
    loop
        exit when waited >= 20;
        begin
            if engine.cancel_waiting(asked.job_id,
                    concat_ws(': ', format('cancelled by %s', asked.requested_by), asked.reason)) <> 'running' then
                settled := settled + 1;
            elsif not exists (select from engine.job j where j.id = asked.job_id) then
                delete from engine.cancel_request r where r.job_id = asked.job_id;
                settled := settled + 1;
            end if;
        exception
            -- A transaction that goes on holds its place: later.
            when lock_not_available then waited := waited + 1;
            when others then
                raise warning 'the request to cancel job % stands: %', asked.job_id, sqlerrm;
        end;
    end loop;
    return settled;
end
$$;

create or replace function engine.settle_aftermath(most integer DEFAULT 500) returns integer
language plpgsql security definer
set lock_timeout = '10ms'
set search_path = pg_catalog, pg_temp
as $$
declare
    ended record;
    dealt_with integer := 0;
    waited integer := 0;
begin
    for ended in
        select a.job_id, a.reached from engine.aftermath a
        where not a.reached
           or not exists (select from engine.child c where c.parent_id = a.job_id and not c.stays)
        -- Children are stopped first: what undoes may be refused, by a queue that is full, for as long as that is so.
        order by a.reached, random()
        limit most
        for update skip locked
    loop
        exit when dealt_with >= most or waited >= 20;
        begin
            if ended.reached then
                perform engine.enqueue_unwind(ended.job_id);
                delete from engine.aftermath a where a.job_id = ended.job_id;
                dealt_with := dealt_with + 1;
            else
                dealt_with := dealt_with + 1 + engine.stop_children(ended.job_id, most - dealt_with);
            end if;
        exception
            when lock_not_available then waited := waited + 1;
            -- Of a queue that is full producers hear.
            when sqlstate 'RW020' then null;
            when others then
                raise warning 'what is left after workflow % waits: %', ended.job_id, sqlerrm;
        end;
    end loop;
    return dealt_with;
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
        -- Only where it goes on does it ask outside systems under the keys of before: what was undone is to be done anew.
        resolution = case when $3 is not null then 'requeued with other arguments' when goes_on then 'requeued' else 'requeued from the start' end
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
    select fresh.id, workflow, least(from_step, 1 + coalesce(max(s.position), 0)), engine.now(), asked_by from engine.step s where s.job_id = fresh.id;
    return fresh.id;
end
$$;

create or replace function engine.stop_children(parent bigint, most integer) returns integer
language plpgsql security definer
set lock_timeout = '10ms'
set search_path = pg_catalog, pg_temp
as $$
declare
    open record;
    asked integer := 0;
    few integer := least(most, 50);
    words text := format('its workflow %s was cancelled or died', parent);
begin
    for open in
        select c.job_id from engine.child c
        where c.parent_id = parent and not c.stays and not exists (select from engine.cancel_request r where r.job_id = c.job_id)
        order by c.job_id
        -- Each is a subtransaction, so they are not many at a time.
        limit few
    loop
        insert into engine.cancel_request (job_id, requested_by, reason) values (open.job_id, 'the engine', words)
        on conflict do nothing;
        -- What is between two places at this moment, or runs, meets the request later.
        begin
            perform engine.cancel_waiting(open.job_id, words);
        exception
            -- Nor does one whose place a transaction that goes on holds, and it keeps its siblings from no end of theirs.
            when lock_not_available then null;
        end;
        asked := asked + 1;
    end loop;
    if asked < few then
        update engine.aftermath a set reached = true where a.job_id = parent;
    end if;
    return asked;
end
$$;
