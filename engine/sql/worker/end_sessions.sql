-- End the database sessions a dead worker left in the middle of a transaction: they hold locks of its jobs.
-- Caller: store/worker.rs
select count(pg_terminate_backend(pid)) as ended
from pg_stat_activity
where application_name = $1 and usename = current_user and datname = current_database() and pid <> pg_backend_pid()
