-- Workflow $1 waits for no event any more.
-- Locks: its row, under the lock of the topic. Caller: store/event.rs
delete from engine.event_wait where job_id = $1
