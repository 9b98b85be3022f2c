-- Lock one dead letter, so that two operators cannot both act on it.
-- Caller: store/dead_letter.rs
select topic, payload::text as args, queue, priority, unique_key, resolved, resolution, job_id
from engine.dead_letter_queue where id = $1
for update
