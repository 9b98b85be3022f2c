-- Make a job of schedule $1 at $2 by hand of $3, with the note $4: kind $5, arguments $6, queue $7, priority $8, unique key
-- $9, attempts $10, limit key $11, deadline $12, unique by its arguments $13, for $14 ms, until it has started $15, in place of
-- the one before $16. A function with its owner's rights, since operators may not enqueue.
-- Locks: its own new rows. Caller: store/occurrence.rs
select id, created, queue_depth, queue_age_ms
from engine.run_schedule($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14::bigint * interval '1 millisecond', $15, $16)
