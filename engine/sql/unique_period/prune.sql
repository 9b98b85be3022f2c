-- Forget up to $1 keys whose time is over, oldest first.
-- Locks: those rows, skip locked. Index: unique_period_until. Caller: store/unique_period.rs
delete from engine.unique_period where ctid = any (array(
    select ctid from engine.unique_period
    where until < (select engine.now())
    order by until
    limit $1
    for update skip locked))
