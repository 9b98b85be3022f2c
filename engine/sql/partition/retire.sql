-- Drop the pair of partitions that ends at id $1.
-- Caller: store/partition.rs
select engine.retire_partition($1)
