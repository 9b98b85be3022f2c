-- What monitors look at: webhooks, their errors, the outbox, the digest; and the two alerts (registry 2.1 and 2.3).
--
-- A window is written with both its ends: the planner cannot know engine.now(), and of a range that is open at one end
-- it assumes a third of the table and reads all of it.
-- Limits are rows of config, so that the owner changes them; without the row the registry's own number holds.
-- Locks: creates new objects; share on webhook_inbox and outbox for their new indexes, so writers wait for these.

create index webhook_inbox_received on raw_ops.webhook_inbox (received_at);
create index webhook_inbox_processed on raw_ops.webhook_inbox (processed_at) where processing_status = 'success';
create index webhook_inbox_errors on raw_ops.webhook_inbox (received_at) where last_error is not null;
create index outbox_sent on raw_ops.outbox (last_sent_at) where state = 'sent';

create view raw_ops.v_webhook_health as
select
    count(*)                                                                              as received,
    count(*) filter (where i.processing_status = 'success')                               as succeeded,
    count(*) filter (where i.processing_status in ('pending', 'processing', 'retrying'))  as waiting,
    count(*) filter (where i.processing_status = 'failed')                                as failed,
    count(*) filter (where i.processing_status = 'suspected_replay')                      as suspected_replays,
    count(*) filter (where i.processing_status = 'ignored')                               as ignored,
    count(*) filter (where i.processing_attempts > 1)                                     as retried,
    round(100.0 * count(*) filter (where i.processing_status = 'success')
        / nullif(count(*) filter (where i.processing_status in ('success', 'failed')), 0), 1) as success_pct,
    round(avg(i.processing_duration_ms) filter (where i.processing_status = 'success'))   as avg_ms,
    percentile_disc(0.95) within group (order by i.processing_duration_ms)
        filter (where i.processing_status = 'success')                                    as p95_ms,
    max(i.processing_duration_ms) filter (where i.processing_status = 'success')          as max_ms
from raw_ops.webhook_inbox i
where i.received_at > (select engine.now()) - interval '24 hours' and i.received_at <= (select engine.now());
comment on view raw_ops.v_webhook_health is '24-hour processing metrics';
comment on column raw_ops.v_webhook_health.success_pct is 'Of the webhooks that have an outcome; null when none has.';

-- A webhook is `failed` from its first failed attempt until one succeeds, so all four places wait.
create view raw_ops.v_retry_queue_depth as
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
where i.processing_status in ('pending', 'processing', 'failed', 'retrying');
comment on view raw_ops.v_retry_queue_depth is 'Current retry queue status';

-- Messages that differ only in their numbers and ids are one pattern.
create view raw_ops.v_error_summary as
select
    coalesce(i.error_category, 'unknown')                               as error_category,
    p.pattern,
    count(*)                                                            as webhooks,
    count(*) filter (where i.processing_status in ('pending', 'processing', 'failed', 'retrying')) as waiting,
    min(i.received_at)                                                  as first_received_at,
    max(i.received_at)                                                  as last_received_at,
    max(i.last_error_at)                                                as last_error_at,
    (array_agg(i.id order by i.received_at desc, i.id))[1]              as newest_inbox_id,
    (array_agg(left(i.last_error, 500) order by i.received_at desc, i.id))[1] as newest_error
from raw_ops.webhook_inbox i
cross join lateral (
    select left(regexp_replace(i.last_error, '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}|[0-9]+([.][0-9]+)?', '#', 'g'), 160) as pattern
) p
where i.last_error is not null
  and i.received_at > (select engine.now()) - interval '7 days' and i.received_at <= (select engine.now())
group by 1, 2;
comment on view raw_ops.v_error_summary is 'Error patterns by category';
comment on column raw_ops.v_error_summary.webhooks is 'Received in the last seven days, whatever became of them.';

create view raw_ops.v_outbox_health as
select
    o.pending, o.sending, o.failed, o.unknown, o.oldest_pending_at, (select engine.now()) - o.oldest_pending_at as oldest_age,
    o.most_attempts, s.sent_24h, (select max(x.last_sent_at) from raw_ops.outbox x where x.state = 'sent') as last_sent_at
from (
    select
        count(*) filter (where state in ('pending', 'sending'))           as pending,
        count(*) filter (where state = 'sending')                         as sending,
        count(*) filter (where state = 'failed')                          as failed,
        count(*) filter (where state = 'unknown')                         as unknown,
        min(created_at) filter (where state in ('pending', 'sending'))    as oldest_pending_at,
        max(attempts) filter (where state in ('pending', 'sending'))      as most_attempts
    from raw_ops.outbox
    where state in ('pending', 'sending', 'failed', 'unknown')
) o
cross join (
    select count(*) as sent_24h
    from raw_ops.outbox
    where state = 'sent'
      and last_sent_at > (select engine.now()) - interval '24 hours' and last_sent_at <= (select engine.now())
) s;
comment on view raw_ops.v_outbox_health is 'Email queue status';
comment on column raw_ops.v_outbox_health.pending is 'Not sent yet, those being sent included.';
comment on column raw_ops.v_outbox_health.unknown is 'Perhaps sent: a person must look.';

create view raw_ops.v_daily_snapshot_health as
select
    l.run_at as last_run_at, l.status as last_status, l.duration_ms as last_duration_ms, l.error_message as last_error,
    s.last_success_at, w.runs_7d, w.failed_7d, d.last_digest_at,
    s.last_success_at is null or s.last_success_at <= (select engine.now()) - interval '25 hours' as is_overdue
from (
    select count(*) as runs_7d, count(*) filter (where status = 'error') as failed_7d
    from raw_ops.monitoring_runs
    where check_name = 'daily_snapshot'
      and run_at > (select engine.now()) - interval '7 days' and run_at <= (select engine.now())
) w
cross join (
    select max(run_at) as last_success_at from raw_ops.monitoring_runs where check_name = 'daily_snapshot' and status = 'success'
) s
cross join (
    select max(sent_at) as last_digest_at
    from raw_ops.alert_log
    where channel = 'daily-ops' and source_check = 'daily_snapshot' and delivery_status = 'sent'
) d
left join lateral (
    select r.run_at, r.status, r.duration_ms, r.error_message
    from raw_ops.monitoring_runs r
    where r.check_name = 'daily_snapshot'
    order by r.run_at desc
    limit 1
) l on true;
comment on view raw_ops.v_daily_snapshot_health is 'Snapshot function health';
comment on column raw_ops.v_daily_snapshot_health.is_overdue is
    'No success within a day and an hour; also when it never ran.';

create view raw_ops.alert_retry_queue_backup as
select
    'retry_queue_backup' as alert, 'warning' as severity, q.depth, q.oldest_received_at, q.oldest_age, l.max_depth, l.max_minutes,
    format('%s webhooks wait, the oldest for %s minutes', q.depth, floor(extract(epoch from q.oldest_age) / 60)) as message
from raw_ops.v_retry_queue_depth q
cross join (
    select
        coalesce((select value_numeric from raw_ops.config where key = 'order_ingestion.max_waiting'), 100)     as max_depth,
        coalesce((select value_numeric from raw_ops.config where key = 'order_ingestion.max_age_minutes'), 30)  as max_minutes
) l
where q.depth > l.max_depth or q.oldest_age > l.max_minutes * interval '1 minute';
comment on view raw_ops.alert_retry_queue_backup is
    'Webhook queue alert: a row while more than 100 wait, or one for more than 30 minutes';

create view raw_ops.alert_slow_processing as
select
    'slow_processing' as alert, 'warning' as severity, t.processed, t.p95_ms, t.max_ms, l.max_p95_ms, l.max_max_ms,
    format('of %s webhooks of the last hour 5 %% took %s ms or longer, the slowest %s ms', t.processed, t.p95_ms, t.max_ms) as message
from (
    select
        count(*)                                                                as processed,
        percentile_disc(0.95) within group (order by i.processing_duration_ms)  as p95_ms,
        max(i.processing_duration_ms)                                           as max_ms
    from raw_ops.webhook_inbox i
    where i.processing_status = 'success'
      and i.processed_at > (select engine.now()) - interval '1 hour' and i.processed_at <= (select engine.now())
) t
cross join (
    select
        coalesce((select value_numeric from raw_ops.config where key = 'order_ingestion.max_p95_ms'), 5000) as max_p95_ms,
        coalesce((select value_numeric from raw_ops.config where key = 'order_ingestion.max_ms'), 10000)    as max_max_ms
) l
where t.p95_ms > l.max_p95_ms or t.max_ms > l.max_max_ms;
comment on view raw_ops.alert_slow_processing is
    'Performance alert: a row while the 95th percentile is above 5 s, or the slowest above 10 s';
