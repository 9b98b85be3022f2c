-- One dead letter.
-- Caller: store/dead_letter.rs
select id, topic, queue, job_id, category, fingerprint, error_message, attempts, payload, created_at, resolved, resolved_at, resolved_by, resolution, requeued_job_id
from engine.dead_letter_queue where id = $1
