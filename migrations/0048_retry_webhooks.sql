-- Webhooks that failed for a reason that passes are tried again.
--
-- The engine retries by its policy; this is for what is left then: a webhook whose job ended without success, or that
-- has none (filled in by hand, or while rows became no jobs). A failure that the policy never retries is left to a
-- person. The row's own trigger makes the job; the dead letter of the old one is marked as dealt with.
-- Locks: none. At run time: the rows of the inbox, skipping those that somebody works on.

-- The rows to try again, oldest first: quiet for five minutes, and no job of theirs alive.
create function raw_ops.webhooks_to_retry(max_rows integer) returns setof uuid
language sql volatile
as $$
    select i.id
    from raw_ops.webhook_inbox i
    where i.processing_status in ('pending', 'processing', 'failed', 'retrying')
      and i.source = 'shopify' and i.topic like 'orders/%'
      and greatest(i.received_at, i.updated_at, i.last_error_at) < (select engine.now()) - interval '5 minutes'
      and i.processing_attempts < (select raw_ops.threshold('webhooks.max_attempts'))
      and not exists (select from raw_ops.retry_config c where c.error_category = i.error_category and c.max_attempts <= 1)
      and not exists (select from engine.unique_key u where u.kind = 'orders.process_order' and u.key = i.id::text)
    order by i.received_at, i.id
    limit max_rows
    for no key update skip locked
$$;

-- Tries up to `max_rows` webhooks again. Returns each with its new job.
create function raw_ops.retry_failed_webhooks(max_rows integer default 100)
returns table (inbox_id uuid, job_id bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    chosen uuid[] := array(select raw_ops.webhooks_to_retry(max_rows));
    next_id uuid;
begin
    -- One by one, because the jobs are to be in this order.
    foreach next_id in array chosen loop
        update raw_ops.webhook_inbox i set processing_status = 'retrying', updated_at = engine.now() where i.id = next_id;
    end loop;
    update engine.dead_letter_queue d
    set resolved = true, resolved_at = engine.now(), resolved_by = 'retry_failed_webhooks', resolution = 'requeued',
        requeued_job_id = u.job_id
    from engine.unique_key u
    where d.topic = 'orders.process_order' and not d.resolved and d.payload ->> 'inbox_id' = any (chosen::text[])
      and u.kind = d.topic and u.key = d.payload ->> 'inbox_id';
    return query
        select c.id, u.job_id from unnest(chosen) with ordinality c (id, place)
        join engine.unique_key u on u.kind = 'orders.process_order' and u.key = c.id::text
        order by c.place;
end
$$;
revoke execute on function raw_ops.retry_failed_webhooks(integer) from public;
