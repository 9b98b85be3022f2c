-- How far job $1 is, by its own word.
-- Caller: store/note.rs
select attempt, done, total, note, updated_at from engine.progress where job_id = $1
