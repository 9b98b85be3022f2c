-- Take job $1 out of ready or scheduled and end it as cancelled, with the words $2.
-- Returns where it stands: cancelled (by this call), running, an ended state, or null while it moves between places.
-- Locks: its place. Caller: store/cancel_request.rs
select engine.cancel_waiting($1, $2) as standing
