-- Hold the breaker of system $1 open or closed ($2), or let its state decide again (null), for operator $3 with reason $4. Returns
-- whether there is one.
-- Locks: the breaker. Caller: store/breaker.rs
select engine.hold_breaker($1, $2, $3, $4) as found
