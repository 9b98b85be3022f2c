-- Drop the oldest pair of partitions that the policy lets go. Returns the id at which it ended; null: there is none.
-- Caller: store/partition.rs
select engine.drop_expired_partition()
