-- A log of temperature may come before the scan that says when its parcel arrived, and is judged after it.
-- Locks: access exclusive on raw_ops.v_retry_queue_depth, for a moment.

insert into raw_ops.config (key, value_numeric, description)
values ('cold_chain.wait_hours', 48, 'For so many hours a log of temperature waits for the scan of its parcel''s arrival')
on conflict (key) do nothing;

-- As before, without logs that wait for their parcels: they keep no order waiting.
create or replace view raw_ops.v_retry_queue_depth as
select
    count(*)                                                   as depth,
    count(*) filter (where i.processing_status = 'pending')    as pending,
    count(*) filter (where i.processing_status = 'processing') as processing,
    count(*) filter (where i.processing_status = 'failed')     as failed,
    count(*) filter (where i.processing_status = 'retrying')   as retrying,
    min(i.received_at)                                         as oldest_received_at,
    (select engine.now()) - min(i.received_at)                 as oldest_age,
    max(i.processing_attempts)                                 as most_attempts
from raw_ops.webhook_inbox i
where i.processing_status in ('pending', 'processing', 'failed', 'retrying')
  and (i.source <> 'logger' or i.processing_status = 'failed');
