-- Put up to $1 parents back into their places whose children have all ended, or one of them where that is enough; returns how many.
-- One that waits for an event as well has lost its wait to the emitter when it was not parked yet. One session looks at a time.
-- Locks: one advisory lock; rows of parked, skip locked. Index: parked_parents, child_open. Caller: store/parked.rs
select engine.unpark(array(
    select p.job_id from engine.parked p
    where (select pg_try_advisory_xact_lock(hashtextextended('engine.wake_parents', 0)))
      and p.waits_for in ('children', 'child')
      and case p.waits_for
          when 'child' then exists (select from engine.child_end e where e.parent_id = p.job_id and e.position = any (p.children))
              or (not exists (select from engine.event_wait w where w.job_id = p.job_id)
                  and (select s.kind = 'wait' and s.key is not null and s.ended_at is null
                       from engine.step s where s.job_id = p.job_id order by s.position desc limit 1))
          else not exists (select from engine.child c where c.parent_id = p.job_id and c.position = any (p.children))
      end
    limit $1
    for update of p skip locked)) as woken
