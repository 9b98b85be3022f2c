-- Dead letters, newest first: of kind $1, category $2 and cause $5 where given, the resolved ones only when $3.
-- Caller: store/dead_letter.rs
select id, topic, queue, job_id, category, fingerprint, error_message, attempts, payload, created_at, resolved, resolved_at, resolved_by, resolution, requeued_job_id
from engine.dead_letter_queue
where ($1::text is null or topic = $1) and ($2::text is null or category = $2) and ($3 or not resolved) and ($5::text is null or fingerprint = $5)
order by created_at desc, id
limit $4
