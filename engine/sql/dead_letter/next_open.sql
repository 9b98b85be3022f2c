-- The next $5 open letters after the moment $3 and letter $4, oldest first, none later than $6: of kind $1,
-- category $2 and cause $7 where given.
-- Index: dead_letter_queue_open. Caller: store/dead_letter.rs
select id, created_at
from engine.dead_letter_queue
where not resolved and ($1::text is null or topic = $1) and ($2::text is null or category = $2)
  and ($7::text is null or fingerprint = $7)
  and created_at between $3 and $6 and (created_at, id) > ($3, $4)
order by created_at, id
limit $5
