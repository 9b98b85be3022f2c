-- Mark the orders $1 paid. Their requests for stock are there, so no trigger needs to make them.
-- Locks: the orders, all of this transaction. Caller: company/copy.rs
update raw_ops.orders set status = 'PAID' where id = any ($1)
