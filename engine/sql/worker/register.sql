-- Register worker $1 with a lease of $2 ms; $3 says what it is.
-- Caller: store/worker.rs
insert into engine.worker (name, lease_until, info)
values ($1, engine.now() + $2 * interval '1 millisecond', $3)
returning id
