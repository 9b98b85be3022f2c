-- Whether there are orders.
-- Caller: company/mod.rs
select exists (select from raw_ops.orders)
