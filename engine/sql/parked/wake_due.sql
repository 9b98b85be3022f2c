-- Put up to $1 parked jobs whose time is up back into their places; returns how many.
-- Locks: their rows, skip locked. Index: parked_wake. Caller: store/parked.rs
select engine.unpark(array(
    select job_id from engine.parked
    where wake_at <= (select engine.now())
    order by wake_at
    limit $1
    for update skip locked)) as woken
