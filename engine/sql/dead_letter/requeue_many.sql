-- Run the jobs of dead letters $1 again, for operator $2, each with its arguments of $3, null for its own; what stays says why.
-- Locks: the letters in the order of their ids; what engine.enqueue locks. Caller: store/dead_letter.rs
select letter, job_id, code, why, detail, violated from engine.requeue_letters($1, $2, $3)
