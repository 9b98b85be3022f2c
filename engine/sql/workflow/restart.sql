-- Run workflow $1, which has ended, again from its step $2, for operator $3; returns the new job.
-- Locks: its own new rows. Caller: store/workflow.rs
select engine.restart_workflow($1, $2, $3) as id
