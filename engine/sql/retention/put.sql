-- Keep $1 for $2 seconds, for ever when it is null; $3 says so. No row: there is no such thing to keep.
-- Locks: its row. Caller: store/retention.rs
update engine.retention
set kept = make_interval(secs => $2::bigint), changed_at = engine.now(), changed_by = $3
where what = $1
returning what
