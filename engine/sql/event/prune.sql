-- Forget up to $2 events older than $1 days, oldest first.
-- Locks: those rows, skip locked. Index: event_age. Caller: store/event.rs
delete from engine.event where ctid = any (array(
    select ctid from engine.event
    where emitted_at < (select engine.now()) - $1 * interval '1 day'
    order by emitted_at
    limit $2
    for update skip locked))
