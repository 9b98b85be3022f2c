-- What operators do to limits, breakers and the policy while jobs run.
-- 1. A suspect of a key with a rate waits until the rate has something for it, also if it was charged before. Its share was given to others of
--    its key, which it met then, and killed.
-- 2. A limit of a queue or a kind counts what runs already when it is set. It let as many begin beside that.
-- 3. Of a key whose cap was lowered no slot goes on while more have one than it may: the job in slot 1 handed its own on beside nine others.
-- 4. A key that keeps its order no more gives the slots back of its jobs that wait for a time, an event or children. They kept them to the end.
-- 5. A breaker that an operator held closed begins anew: its cool-down was as long as after all that had failed before.
-- 6. A policy whose delays are not numbered from 1 is refused: it tried again after the wrong ones.
-- 7. Queues and kinds keep no order, and nobody may believe that they do.
-- Locks: limit_setting and permit, until it commits. At run time: count_permits an advisory lock; give_back_kept rows of scheduled and parked,
-- skip locked, and slots.
-- Where a key has a cap, who gives slots back looks at the last slot of each key.

create or replace function engine.key_holds_back(suspect bigint) returns boolean
language sql stable
as $$
    select exists (
        select from engine.slot s
        cross join lateral engine.limit_of_key(s.limit_key) l
        join engine.job j on j.id = s.job_id
        join engine.lane n on n.id = j.lane_id
        left join engine.limit_setting k on k.scope = 'kind' and k.name = n.kind
        left join engine.pace p on p.limit_key = s.limit_key
        where s.job_id = $1 and (l.cap = 0 or (l.rate is not null
            and engine.rate_left(l.rate, l.per_ms, l.burst, p.free_at, engine.now()) < least(coalesce(k.weight, 1), l.burst))))
$$;

comment on column engine.slot.charged is 'Whether its run was counted against the rate of its key; of a suspect, the run that comes next.';

alter table engine.permit add column counted boolean not null default false;
comment on column engine.permit.counted is 'Whether it was counted for a claim that is older than the limit. Ends of its jobs give none of these back.';

create function engine.count_permits(setting integer default null) returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    changed integer;
begin
    -- Two at one time would count the same jobs twice.
    perform pg_advisory_xact_lock(hashtextextended('engine.count_permits', 0));
    insert into engine.permit (claim_id, setting_id, jobs, counted)
    select c.id, s.id, r.jobs - p.jobs, true
    from engine.limit_setting s
    -- Who does not see the limit yet may commit a claim a moment after it.
    join engine.claim c on c.claimed_at < s.changed_at + interval '10 seconds'
    cross join lateral (
        select count(*)::integer as jobs
        from unnest(c.ids, c.attempts) u (job_id, attempt)
        cross join lateral (select lane_id from engine.job where id = u.job_id offset 0) j
        join engine.lane l on l.id = j.lane_id
        where s.name = case s.scope when 'queue' then l.queue else l.kind end
          and not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt)
    ) r
    cross join lateral (
        select coalesce(sum(jobs), 0)::integer as jobs from engine.permit where claim_id = c.id and setting_id = s.id
    ) p
    where s.scope in ('queue', 'kind') and s.cap is not null and (setting is null or s.id = setting) and r.jobs <> p.jobs;
    get diagnostics changed = row_count;
    if setting is null then
        -- Who closed a claim at the moment at which it was counted did not see these.
        delete from engine.permit p where not exists (select from engine.claim c where c.id = p.claim_id);
    end if;
    return changed;
end
$$;
comment on function engine.count_permits(integer) is
    'Counts what runs under limits of queues and kinds, or under one, of claims that began before the limit was changed: no end of theirs gives back what is counted here, but the next count does. Returns how many counts were wrong.';
revoke all on function engine.count_permits(integer) from public;

create or replace function engine.give_back(jobs bigint[], floors bigint[]) returns integer
language plpgsql
set enable_seqscan = off
as $$
declare
    moved integer;
begin
    with freed as materialized (
        select s.ctid as slot, s.limit_key, s.n, s.floor, row_number() over (partition by s.limit_key order by s.n) as turn,
            count(*) over (partition by s.limit_key) as number
        from (select s.ctid, s.limit_key, s.n, u.floor
              from unnest(give_back.jobs, give_back.floors) u (job_id, floor)
              join engine.slot s on s.job_id = u.job_id
              for update of s) s
    ),
    special as materialized (
        select not engine.keys_are_alike(coalesce(
            -- Those that run above a cap which was lowered are told by their slots alone: the last of each key, where there is a cap at all.
            case when exists (select from engine.limit_setting c where c.scope = 'key' and c.cap is not null) then (
                select max(top.n) from (select distinct f.limit_key from freed f) k
                cross join lateral (select s.n from engine.slot s where s.limit_key = k.limit_key order by s.n desc limit 1) top) end,
            (select max(n) from freed))) as some_are
    ),
    usable as materialized (
        select f.limit_key,
            -- Beside slots above a cap that was lowered, only as many go on as the others leave.
            case when l.cap is not null and exists (select from engine.slot s where s.limit_key = f.limit_key and s.n > l.cap)
                then greatest(0, least(count(*), l.cap + f.number - (select count(*) from engine.slot s where s.limit_key = f.limit_key)))
                else count(*) end as places,
            -- None is below the head of the line.
            case when bool_and(f.floor > 0) then max(f.floor) else -9223372036854775807 end as floor
        from freed f
        left join lateral (select * from engine.limit_of_key(f.limit_key) where (select some_are from special)) l on true
        where l.cap is null or (l.rate is null and f.n <= l.cap)
        group by f.limit_key, f.number, l.cap
    ),
    heads as materialized (
        select u.limit_key, h.place, h.position, h.job_id, h.lane_id, h.attempt,
            row_number() over (partition by u.limit_key order by h.position) as turn
        from usable u
        cross join lateral (
            select * from (
                select w.ctid as place, w.position, w.job_id, w.lane_id, w.attempt from engine.waiting w
                where w.limit_key = u.limit_key and w.position > u.floor
                order by w.position
                limit u.places
                for update skip locked
            ) above
            union all
            -- What was given back, or was committed late, if nothing else is there.
            select * from (
                select w.ctid, w.position, w.job_id, w.lane_id, w.attempt from engine.waiting w
                where w.limit_key = u.limit_key and w.position <= u.floor
                order by w.position
                limit u.places
                for update skip locked
            ) below
            limit u.places
        ) h
    ),
    handed as (
        update engine.slot s set job_id = h.job_id
        from freed f join heads h on h.limit_key = f.limit_key and h.turn = f.turn
        where s.ctid = f.slot
    ),
    dropped as (
        delete from engine.slot where ctid = any (array(
            select f.slot from freed f
            where not exists (select from heads h where h.limit_key = f.limit_key and h.turn = f.turn)))
    ),
    gone as (
        delete from engine.waiting where ctid = any (array(select place from heads))
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

create function engine.give_back_kept(most integer) returns integer
language plpgsql security definer
set enable_seqscan = off
set search_path = pg_catalog, pg_temp
as $$
declare
    kept bigint[];
begin
    with resting as materialized (
        select s.job_id, s.limit_key from engine.slot s
        where exists (select from engine.scheduled d where d.job_id = s.job_id and not d.alone offset 0)
           or exists (select from engine.parked p where p.job_id = s.job_id offset 0)
    )
    select array(
        select r.job_id from resting r
        where not (select l.in_order from engine.limit_of_key(r.limit_key) l)
        limit most)
    into kept;
    if cardinality(kept) = 0 then
        return 0;
    end if;
    -- A promotion that began before would take a row along with a slot that it still sees, but not one that was changed since. Who wakes
    -- one that is parked looks for its slot when it has the row.
    with later as (
        update engine.scheduled d set keyed = true
        where d.ctid = any (array(
            select o.ctid from engine.scheduled o where o.job_id = any (kept) and not o.alone for update skip locked))
        returning d.job_id
    ),
    still as materialized (
        select p.job_id from engine.parked p where p.job_id = any (kept) for update skip locked
    )
    select array(select l.job_id from later l union all select p.job_id from still p) into kept;
    perform engine.give_back(kept);
    return cardinality(kept);
end
$$;
comment on function engine.give_back_kept(integer) is
    'Gives back up to so many slots that jobs kept for a retry or a wait, of keys that keep no order any more; not those of suspects. Returns how many.';
revoke all on function engine.give_back_kept(integer) from public;

create or replace function engine.hold_breaker(system text, held text, asked_by text, reason text DEFAULT NULL::text) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    at timestamptz := engine.now();
begin
    if hold_breaker.held is not null and hold_breaker.held not in ('open', 'closed') then
        raise exception 'a breaker is held open or closed' using errcode = '22023';
    end if;
    update engine.breaker b
    set held = hold_breaker.held,
        held_at = case when hold_breaker.held is not null then at end,
        held_by = case when hold_breaker.held is not null then hold_breaker.asked_by end,
        reason = case when hold_breaker.held is not null then hold_breaker.reason end,
        -- What was held open is tried with one job first; what was held closed begins to be judged.
        state = case when hold_breaker.held is not null or b.held is null then b.state when b.held = 'open' then 'open' else 'closed' end,
        since = case when hold_breaker.held is null and b.held is not null then at else b.since end,
        closings = b.closings + case when hold_breaker.held is null and b.held is not null then 1 else 0 end,
        openings = case when hold_breaker.held is null and b.held = 'closed' then 0 else b.openings end,
        probe_at = case when hold_breaker.held is null and (b.held = 'open' or b.state = 'open') then at else b.probe_at end
    where b.system = hold_breaker.system;
    if not found then
        return false;
    end if;
    perform engine.wake();
    return true;
end
$$;

do $$
begin
    -- Where the migrations of the policy come late it is as they make it.
    if to_regprocedure('engine.retry_policy_fault(integer, integer[], integer, integer)') is null then
        return;
    end if;
    execute $create$
create or replace function engine.retry_policy_fault(max_attempts integer, backoff_seconds integer[], alert_on_attempt integer, escalate_on_attempt integer) returns text
language sql immutable
as $fault$
select case
    when coalesce(max_attempts, 0) not between 1 and 1000
        then format('max_attempts is %s and must be from 1 to 1000', coalesce(max_attempts::text, 'null'))
    when coalesce(cardinality(backoff_seconds), 0) not between 1 and 1000 or array_ndims(backoff_seconds) <> 1
        then format('backoff_seconds is %s and must be a list of 1 to 1000 delays', coalesce(left(backoff_seconds::text, 100), 'null'))
    when array_lower(backoff_seconds, 1) <> 1
        then format('backoff_seconds is %s and its delays must be numbered from 1', left(backoff_seconds::text, 100))
    when exists (select from unnest(backoff_seconds) s (seconds) where coalesce(seconds, -1) not between 0 and 315360000)
        then format('backoff_seconds is %s and each delay must be from 0 to 315360000 seconds, ten years', left(backoff_seconds::text, 100))
    when alert_on_attempt not between 1 and max_attempts
        then format('alert_on_attempt is %s and must be from 1 to max_attempts, %s', alert_on_attempt, max_attempts)
    when escalate_on_attempt not between 1 and max_attempts
        then format('escalate_on_attempt is %s and must be from 1 to max_attempts, %s', escalate_on_attempt, max_attempts)
    when escalate_on_attempt < alert_on_attempt
        then format('escalate_on_attempt is %s and must not come before alert_on_attempt, %s', escalate_on_attempt, alert_on_attempt)
end
$fault$
$create$;
end
$$;

update engine.limit_setting set in_order = false, declared = declared || '{"in_order": false}'::jsonb
where scope <> 'key' and (in_order or declared ->> 'in_order' = 'true');
alter table engine.limit_setting add constraint limit_setting_in_order_check check (not in_order or scope = 'key');
