-- Take or keep duty $1 for holder $2, for $3 ms. A new holder begins a new term. No row: somebody else leads.
-- A lease that ends later than two of ours was taken before the clock was set back: it counts as over.
-- Locks: the duty's row. Caller: store/leader.rs
insert into engine.leader as l (duty, worker_id, term, until)
values ($1, $2, 1, engine.now() + $3 * interval '1 millisecond')
on conflict (duty) do update
set worker_id = excluded.worker_id, until = excluded.until,
    term = case when l.worker_id = excluded.worker_id then l.term else l.term + 1 end
where l.worker_id = excluded.worker_id or l.until <= engine.now() or l.until > engine.now() + 2 * $3 * interval '1 millisecond'
returning term
