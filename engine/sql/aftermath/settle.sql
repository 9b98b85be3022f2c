-- Do what is left after workflows were cancelled or died, up to $1 workflows and children; returns how many.
-- Locks: rows of aftermath, skip locked; the places of children. Caller: store/parked.rs
select engine.settle_aftermath($1)
