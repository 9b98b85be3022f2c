-- Puts the jobs of claim $2 of dead worker $1 that came out of their line again in front of their lanes, where the others stand that
-- were lost with them: rescue.sql put them at the head of the line, and with the slot that became free they went to the end.
-- Locks: rows of ready that this transaction made. Index: ready_returned. Caller: store/claim/rescue.rs
update engine.ready r
set position = engine.next_in_front()
from engine.claim c
where c.worker_id = $1 and c.id = $2 and r.job_id = any (c.ids) and r.position <> r.job_id and r.position > 0
