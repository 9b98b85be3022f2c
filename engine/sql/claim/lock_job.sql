-- Try to lock jobs $1 against the transactions of their handlers (claim/assert.sql holds the same lock, shared). False: one of
-- them is held. Outside of a transaction it only tells.
-- Caller: store/claim/rescue.rs, store/claim/reseat.rs
select coalesce(bool_and(pg_try_advisory_xact_lock(hashtextextended('engine.attempt', id))), true) from unnest($1::bigint[]) id
