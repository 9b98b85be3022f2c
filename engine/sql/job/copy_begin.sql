-- Begin to store many jobs by COPY: the time, and a transaction id before the first position, which the claimers' floor
-- relies on. A statement of its own, so that it comes first whatever the planner does.
-- Caller: store/copy.rs
select engine.now() as at, pg_current_xact_id()::text as xid
