-- Depth and oldest age of each queue.
-- Caller: metrics.rs
select queue, depth, oldest_seconds from engine.queue_figures order by queue
