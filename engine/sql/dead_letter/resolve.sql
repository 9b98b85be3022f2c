-- Mark a dead letter as dealt with.
-- Caller: store/dead_letter.rs
update engine.dead_letter_queue
set resolved = true, resolved_at = engine.now(), resolved_by = $2, resolution = $3, requeued_job_id = $4
where id = $1
