-- Mark the shipments $1 dispatched. Their stock has been taken: the trigger finds the proof of it and does nothing.
-- Locks: the shipments, all of this transaction. Caller: company/copy.rs
update raw_ops.shipments set status = 'DISPATCHED' where id = any ($1)
