-- End every pause of $1 (queue, kind, key) $2, for operator $3. Returns how many there were.
-- Caller: store/pause.rs
select engine.resume_work($1, $2, $3) as ended
