-- Note that attempt $4 of job $3, of claim $2, is the probe of system $1, whose breaker lock_due.sql has locked.
-- Locks: the breaker. Caller: store/breaker.rs
update engine.breaker set state = 'half_open', probe_claim = $2, probe_job = $3, probe_attempt = $4 where system = $1
