-- Nobody calls a function by default. PostgreSQL lets everybody call a new function, so this is run after every migration,
-- in its transaction.

revoke all on all routines in schema engine, raw_ops from public;
