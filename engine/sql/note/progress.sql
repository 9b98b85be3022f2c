-- Say how far job $1 is in attempt $2: $3 of $4, and in words $5.
-- Locks: the job's row of progress. Caller: store/note.rs
insert into engine.progress (job_id, attempt, done, total, note, updated_at)
values ($1, $2, $3, $4, $5, engine.now())
on conflict (job_id) do update
set attempt = excluded.attempt, done = excluded.done, total = excluded.total, note = excluded.note, updated_at = excluded.updated_at
