-- Put up to $1 parked jobs back into their places whose event is there, or who wait for none: by rights there are none,
-- unless an emitter's snapshot was older than the wait. One that waits for a child may wait for an event as well. Reads parked
-- whole. Returns how many.
-- Locks: their rows, skip locked. Caller: store/parked.rs
select engine.unpark(array(
    select p.job_id from engine.parked p
    left join engine.event_wait w on w.job_id = p.job_id
    where (p.waits_for = 'event' and w.job_id is null)
       or exists (select from engine.event e where e.name = w.name and e.key = w.key and e.id > w.after)
    limit $1
    for update of p skip locked)) as woken
