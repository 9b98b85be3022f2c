-- A job of queue $4 and kind $5 undoes what step $2 of workflow $1 did, its compensation $3 counted from 1; priority $6,
-- arguments $7, most attempts $8, limit key $9.
-- Locks: its own new row. Caller: store/compensation.rs
insert into engine.compensation (job_id, position, n, queue, kind, priority, args, max_attempts, limit_key)
values ($1, $2, $3, $4, $5, $6, $7, $8, engine.checked_name('limit key', $9))
