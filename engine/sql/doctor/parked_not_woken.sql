-- Workflows that should have gone on more than 30 s ago and are still parked, while a worker lives that should have woken
-- them: their time is up, their event or children are there, or they wait for none. Reads parked whole. Caller: store/doctor.rs
with late as materialized (
    select engine.now() - interval '30 seconds' as at
),
stuck as materialized (
    select p.job_id, format('was to wake at %s and is still parked', date_trunc('milliseconds', p.wake_at)) as detail
    from engine.parked p where p.wake_at < (select at from late)
    union all
    select p.job_id, 'is parked and waits for no event'
    from engine.parked p
    where p.waits_for = 'event' and p.parked_at < (select at from late)
      and not exists (select from engine.event_wait w where w.job_id = p.job_id)
    union all
    select p.job_id, format('is parked, and event %s of key %s, which it waits for, is there', w.name, w.key)
    from engine.parked p
    join engine.event_wait w on w.job_id = p.job_id
    where exists (
          select from engine.event e
          where e.name = w.name and e.key = w.key and e.id > w.after and e.emitted_at < (select at from late))
    union all
    select p.job_id, 'is parked, and the event that it waits for was taken'
    from engine.parked p
    where p.waits_for = 'child' and p.parked_at < (select at from late)
      and not exists (select from engine.event_wait w where w.job_id = p.job_id)
      and (select s.kind = 'wait' and s.key is not null and s.ended_at is null
           from engine.step s where s.job_id = p.job_id order by s.position desc limit 1)
    union all
    select p.job_id, 'is parked, and the children that it waits for have ended'
    from engine.parked p
    where p.waits_for = 'children' and p.parked_at < (select at from late)
      and not exists (select from engine.child c where c.parent_id = p.job_id and c.position = any (p.children))
      and not exists (
          select from engine.child_end e
          where e.parent_id = p.job_id and e.position = any (p.children) and e.ended_at > (select at from late))
    union all
    select p.job_id, 'is parked, and a child that it waits for has ended'
    from engine.parked p
    where p.waits_for = 'child' and p.parked_at < (select at from late)
      and exists (
          select from engine.child_end e
          where e.parent_id = p.job_id and e.position = any (p.children) and e.ended_at < (select at from late))
)
select job_id, detail from stuck
where exists (
    select from engine.worker w where w.dead_at is null and w.lease_until > engine.now() and w.started_at < (select at from late))
order by job_id, detail
limit 100
