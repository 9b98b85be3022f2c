-- Make the partitions ahead.
-- Caller: store/partition.rs
select engine.extend_partitions($1, $2)
