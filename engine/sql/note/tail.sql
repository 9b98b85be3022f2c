-- The last lines that job $1 logged, oldest first.
-- Caller: store/note.rs
select attempt, logged_at, line from engine.log_line where job_id = $1 order by position
