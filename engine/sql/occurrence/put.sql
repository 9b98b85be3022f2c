-- Note that schedule $1 came at $2: job $3 or none, how $4, by whom $5, a note $6.
-- Locks: the key of the occurrence. Caller: store/occurrence.rs
insert into engine.occurrence (schedule, occurrence, job_id, how, by, note)
values ($1, $2, $3, $4, $5, $6)
