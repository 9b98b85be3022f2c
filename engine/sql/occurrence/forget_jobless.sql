-- Forget the occurrences of schedule $1 after $2 that made no job: they will come again.
-- Locks: the rows that go. Caller: store/occurrence.rs
delete from engine.occurrence where schedule = $1 and occurrence > $2 and job_id is null
