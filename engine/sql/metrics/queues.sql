-- Depth, oldest age and scheduled jobs of each queue.
-- Caller: metrics.rs
select queue, depth, oldest_seconds, scheduled from engine.queue_figures order by queue
