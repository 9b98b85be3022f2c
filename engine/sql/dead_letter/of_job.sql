-- The dead letter of job $1, without its arguments; the one that is open before another.
-- Index: dead_letter_queue_job. Caller: store/dead_letter.rs
select id, topic, queue, job_id, category, fingerprint, error_message, attempts, created_at, requeued_job_id
from engine.dead_letter_queue
where job_id = $1
order by resolved, created_at desc
limit 1
