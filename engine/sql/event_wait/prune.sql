-- Forget up to $1 waits of jobs that have ended.
-- Locks: rows nobody needs any more, skip locked. Caller: store/event.rs
delete from engine.event_wait where ctid = any (array(
    select w.ctid from engine.event_wait w
    where w.since < (select engine.now()) - interval '1 minute'
      and not exists (select from engine.parked p where p.job_id = w.job_id)
      and (exists (select from engine.attempt a where a.job_id = w.job_id and a.outcome in ('completed', 'cancelled', 'dead'))
          or not exists (select from engine.job j where j.id = w.job_id))
    limit $1
    for update of w skip locked))
