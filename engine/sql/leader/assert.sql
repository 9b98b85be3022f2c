-- Prove inside a leader's transaction that holder $2 still has duty $1 in term $3. The lock keeps a successor out until
-- the transaction ends.
-- Locks: the duty's row, share. Caller: store/leader.rs
select 1 as leads from engine.leader
where duty = $1 and worker_id = $2 and term = $3 and until > engine.now()
for share
