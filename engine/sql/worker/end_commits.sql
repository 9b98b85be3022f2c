-- End the sessions in which a transaction of a handler still holds job $1: its commit was asked for long ago, and whether it came is
-- not known. One that waits for other servers has happened here.
-- Caller: store/worker.rs
select count(pg_terminate_backend(pid)) as ended
from pg_locks
where locktype = 'advisory' and granted and database = (select oid from pg_database where datname = current_database())
  and (classid::bigint << 32 | objid::bigint) = hashtextextended('engine.attempt', $1) and pid <> pg_backend_pid()
