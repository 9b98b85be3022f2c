-- Hold $1 (queue, kind, key) $2, for operator $3 with reason $4, from $5 (now) until $6 (until it is resumed).
-- Locks: a held key's places in ready. Caller: store/pause.rs
select engine.pause_work($1, $2, $3, $4, $5, $6) as id
