-- Whether duty $1 may be taken, for a lease of $2 ms; asked before it is tried, because trying writes.
-- Caller: store/leader.rs
select not exists (
    select from engine.leader l
    where l.duty = $1 and l.until > engine.now() and l.until <= engine.now() + 2 * $2 * interval '1 millisecond'
) as free
