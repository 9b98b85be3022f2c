-- Job $4 undid compensation $3 of step $2 of workflow $1.
-- Locks: its row. Caller: store/compensation.rs
update engine.compensation set undone_at = engine.now(), undone_by = $4
where job_id = $1 and position = $2 and n = $3
