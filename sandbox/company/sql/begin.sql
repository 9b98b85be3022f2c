-- Tell the triggers that history is written, for this transaction: what they would start has happened already. True
-- when no other transaction writes history at the moment.
-- Caller: company/mod.rs
select set_config('rawops.seeding', 'on', true) = 'on' and pg_try_advisory_xact_lock(hashtextextended('rawops.seed', 0))
