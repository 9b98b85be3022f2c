-- The registry's retry_config is the engine's retry policy: its edits are checked, numbered and kept as the engine's
-- own table was until its name became a view.
-- Locks: share row exclusive on retry_config, for a moment; workers that settle a job only read it.

select engine.keep_retry_policy('raw_ops.retry_config');
