-- Emit event $1 of key $2 with payload $3, once a key $4, in the caller's transaction, whose trace is $5 from then on.
-- Locks: the row of the topic until the transaction ends; waits of it. Caller: store/event.rs
select e.id, e.created, e.woken
from (select case when $5::text is not null then set_config('engine.trace_parent', $5, true) end as trace offset 0) t
-- The null keeps the order: the setting comes first.
cross join lateral engine.emit(coalesce(nullif(t.trace, t.trace), $1), $2, $3, $4) e
