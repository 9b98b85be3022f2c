-- Whether workers of kinds $1 and queues $2 have anything left to do now: jobs that may run, that run, on whatever worker, or that are
-- about to go on or to be cancelled. What is held, by a pause or by a system that is down until later, may not; nor may what waits for a slot that another
-- job keeps, which counts itself as long as it may go on. A probe that runs says soon whether its system is back.
-- Reads claim, and where nothing else is left waiting, whole. Index: ready_pkey, scheduled_pkey, parked_wake, parked_parents.
-- Caller: store/place.rs
with clock as materialized (
    select engine.now() as at
),
own as materialized (
    select l.id,
        not l.paused
        and not exists (select from engine.paused p where p.name = case p.scope when 'queue' then l.queue when 'kind' then l.kind end)
        and not exists (
            select from engine.barred b
            where b.kind = l.kind and (b.held_by is not null or b.probe_at > (select at from clock)))
        as may_run
    from engine.lane l
    where l.kind = any ($1) and l.queue = any ($2)
)
select
    exists (
        select from own o
        cross join lateral (select 1 from engine.ready r where r.lane_id = o.id limit 1) r
        where o.may_run)
    or exists (
        select from engine.claim c
        cross join unnest(c.ids, c.attempts) u (job_id, attempt)
        -- One by one, whatever the planner thinks of partitions that it knows nothing of yet.
        cross join lateral (select lane_id from engine.job where id = u.job_id offset 0) j
        where j.lane_id in (select id from own)
          and not exists (select from engine.attempt a where a.job_id = u.job_id and a.attempt = u.attempt offset 0))
    or exists (
        select from engine.cancel_request r
        cross join lateral (select lane_id from engine.job where id = r.job_id offset 0) j
        where j.lane_id in (select id from own))
    or exists (
        select from engine.scheduled s
        join own o on o.id = s.lane_id
        where o.may_run and s.run_at <= (select at from clock) and not (s.alone and engine.key_holds_back(s.job_id)))
    or exists (
        select from engine.parked p
        join own o on o.id = p.lane_id
        where o.may_run and p.wake_at <= (select at from clock))
    or exists (
        select from engine.parked p
        join own o on o.id = p.lane_id
        where o.may_run and p.waits_for in ('children', 'child')
          and case p.waits_for
              when 'child' then exists (select from engine.child_end e where e.parent_id = p.job_id and e.position = any (p.children))
                  or (not exists (select from engine.event_wait w where w.job_id = p.job_id)
                      and (select s.kind = 'wait' and s.key is not null and s.ended_at is null
                           from engine.step s where s.job_id = p.job_id order by s.position desc limit 1))
              else not exists (select from engine.child c where c.parent_id = p.job_id and c.position = any (p.children))
          end)
    or exists (
        select from engine.aftermath a
        cross join lateral (select lane_id from engine.job where id = a.job_id offset 0) j
        join own o on o.id = j.lane_id
        where o.may_run
          and (not a.reached or not exists (select from engine.child c where c.parent_id = a.job_id and not c.stays)))
    or exists (
        select from engine.waiting w
        join own o on o.id = w.lane_id
        cross join lateral engine.limit_of_key(w.limit_key) l
        where o.may_run and l.cap > (select count(*) from engine.slot s where s.limit_key = w.limit_key))
    as is_any_left
