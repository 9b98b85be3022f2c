-- Store a log of temperature: $1 what it is of, $2 headers, $3 bytes, $4 digest. A trigger makes its job. Returns the row and
-- `enqueued` or `duplicate`.
-- Locks: the inserted row. Caller: functions/import_temperature_log.rs
select inbox_id, outcome from raw_ops.store_temperature_log($1, $2, $3, $4)
