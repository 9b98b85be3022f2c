-- Run the job of dead letter $1 again, for operator $2, with arguments $3 where given.
-- Locks: the letter; what engine.enqueue locks. Caller: store/dead_letter.rs
select engine.requeue_letter($1, $2, $3) as job_id
