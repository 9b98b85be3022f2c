-- Forget up to $2 topics that nobody touched for $1 days. Whoever comes next makes the row anew.
-- Locks: those rows, skip locked. Caller: store/event.rs
delete from engine.topic where ctid = any (array(
    select ctid from engine.topic
    where touched_at < (select engine.now()) - $1 * interval '1 day'
    limit $2
    for update skip locked))
