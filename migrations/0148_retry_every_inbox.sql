-- Webhooks of Seal that failed for a reason that passes are tried again too, by the one function that does it for all.
--
-- Locks: none. At run time: rows of both inboxes, skipping those that somebody works on.

-- The webhooks of Seal to try again, as raw_ops.webhooks_to_retry.
create function raw_ops.seal_webhooks_to_retry(max_rows integer) returns setof uuid
language sql volatile
as $$
    select i.id
    from raw_ops.seal_webhook_inbox i
    where i.processing_status in ('pending', 'processing', 'failed', 'retrying')
      and greatest(i.received_at, i.processed_at) < (select engine.now()) - interval '5 minutes'
      and i.processing_attempts < (select raw_ops.threshold('webhooks.max_attempts'))
      and not exists (select from raw_ops.retry_config c where c.error_category = i.error_category and c.max_attempts <= 1)
      and not exists (select from engine.unique_key u where u.kind = 'subscriptions.process_event' and u.key = i.id::text)
    order by i.received_at, i.id
    limit max_rows
    for no key update skip locked
$$;

-- As 0140, with those of Seal: `max_rows` of each inbox at most. The jobs are the triggers' work.
create or replace function raw_ops.retry_failed_webhooks(max_rows integer default 100)
returns table (inbox_id uuid, job_id bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    chosen uuid[] := array(select raw_ops.webhooks_to_retry(max_rows));
    of_seal uuid[] := array(select raw_ops.seal_webhooks_to_retry(max_rows));
    next_id uuid;
begin
    -- One by one, because the jobs are to be in this order.
    foreach next_id in array chosen loop
        update raw_ops.webhook_inbox i set processing_status = 'retrying', updated_at = engine.now() where i.id = next_id;
    end loop;
    foreach next_id in array of_seal loop
        update raw_ops.seal_webhook_inbox i set processing_status = 'retrying' where i.id = next_id;
    end loop;
    return query
        with tried as (
            select c.id, 1 as inbox, c.place, raw_ops.webhook_kind(i.source, i.topic) as kind
            from unnest(chosen) with ordinality c (id, place) join raw_ops.webhook_inbox i on i.id = c.id
            union all
            select c.id, 2, c.place, 'subscriptions.process_event' from unnest(of_seal) with ordinality c (id, place)
        ),
        made as (
            select t.id, t.inbox, t.place, u.kind, u.job_id from tried t join engine.unique_key u on u.kind = t.kind and u.key = t.id::text
        ),
        resolved as (
            update engine.dead_letter_queue d
            set resolved = true, resolved_at = engine.now(), resolved_by = 'retry_failed_webhooks', resolution = 'requeued',
                requeued_job_id = m.job_id
            from made m
            where d.topic = m.kind and not d.resolved and d.payload ->> 'inbox_id' = m.id::text
        )
        select m.id, m.job_id from made m order by m.inbox, m.place;
end
$$;
