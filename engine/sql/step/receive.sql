-- Keep how the wait of workflow $1 at its step $2 ended: with event $3 and its payload $4, with what else $4 says, or in vain.
-- Locks: its row; the attempt's fence keeps others out. Caller: store/step.rs
update engine.step set ended_at = engine.now(), event_id = $3, result = $4::jsonb
where job_id = $1 and position = $2 and ended_at is null
