-- Whether what was put into lane $1 at position $2 has not been claimed.
-- Index: ready_pkey. Caller: store/waiting.rs
select exists (select from engine.ready where lane_id = $1 and position = $2)
