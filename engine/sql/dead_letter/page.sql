-- Open dead letters without their arguments, newest first, at most $6: of kind $1, category $2 and cause $7 where given, none
-- older than $3, and those behind letter $5, which came at $4, where given.
-- Index: dead_letter_queue_open. Caller: store/dead_letter.rs
select id, topic, queue, job_id, category, fingerprint, error_message, attempts, created_at, requeued_job_id
from engine.dead_letter_queue
where not resolved and ($1::text is null or topic = $1) and ($2::text is null or category = $2)
  and ($7::text is null or fingerprint = $7)
  and created_at between coalesce($3::timestamptz, '-infinity') and coalesce($4::timestamptz, 'infinity')
  and ($4 is null or (created_at, id) < ($4, $5::uuid))
order by created_at desc, id desc
limit $6
