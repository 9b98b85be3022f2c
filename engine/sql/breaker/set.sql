-- Change by which rule the breaker of system $1 opens, where it is given: share $2 of at least $3 attempts in $4 ms, categories $5,
-- cool-down from $6 to $7 ms; for operator $8. Returns whether there is one.
-- Locks: the breaker. Caller: store/breaker.rs
update engine.breaker
set share = coalesce($2, share), at_least = coalesce($3, at_least), window_ms = coalesce($4, window_ms),
    categories = coalesce($5, categories), cooldown_ms = coalesce($6, cooldown_ms),
    cooldown_most_ms = coalesce($7, cooldown_most_ms), changed_at = engine.now(), changed_by = $8
where system = $1
returning system
