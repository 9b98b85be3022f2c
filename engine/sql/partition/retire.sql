-- Drop the pair of partitions that ends at id $1, whatever the policy says of what ended in it.
-- Caller: store/partition.rs
select engine.retire_partition($1)
