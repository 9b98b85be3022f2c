-- Webhooks of more topics than orders: which kind of job takes which, said once.
--
-- A row of the inbox that waits becomes a job of the kind that its topic names, whoever inserts it. A topic that no job
-- reads is kept as `ignored`, noted, and told to people once a day.
-- Locks: share row exclusive on raw_ops.webhook_inbox and raw_ops.dead_letter_queue, for a moment.

-- The kind of job that a webhook is for; null when nobody reads its topic. web/webhooks/shopify/delivery.rs lists the topics
-- that it stores as waiting, and a test compares.
create function raw_ops.webhook_kind(source text, topic text) returns text
language sql immutable parallel safe
as $$
    select case
        when source <> 'shopify' then null
        when topic like 'orders/%' then 'orders.process_order'
        when topic = 'refunds/create' then 'orders.process_refund'
        when topic in ('fulfillments/create', 'fulfillments/update') then 'orders.process_fulfillment'
        when topic in ('customers/create', 'customers/update') then 'customers.process_customer'
        when topic in ('customers/data_request', 'customers/redact', 'shop/redact') then 'customers.handle_privacy_request'
    end
$$;

-- Makes the jobs of webhooks: those of one statement's rows in one call a kind, in the order of the rows.
create function raw_ops.enqueue_webhooks() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    made record;
begin
    if raw_ops.is_seeding() then
        return null;
    end if;
    if tg_level = 'ROW' then
        perform engine.enqueue_each(k.kind, split_part(k.kind, '.', 1), array[jsonb_build_object('inbox_id', new.id)],
            array[new.id::text], array[null::timestamptz], array[new.raw_headers ->> 'traceparent'])
        from raw_ops.webhook_kind(new.source, new.topic) k (kind) where k.kind is not null;
        return null;
    end if;
    for made in
        select w.kind, array_agg(jsonb_build_object('inbox_id', w.id) order by w.n) as args, array_agg(w.id::text order by w.n) as keys,
            array_agg(w.trace order by w.n) as traces, array_agg(null::timestamptz) as due
        from (
            select r.id, r.raw_headers ->> 'traceparent' as trace, raw_ops.webhook_kind(r.source, r.topic) as kind, row_number() over () as n
            from new_rows r where r.processing_status in ('pending', 'retrying')
        ) w
        where w.kind is not null
        group by w.kind order by w.kind
    loop
        perform engine.enqueue_each(made.kind, split_part(made.kind, '.', 1), made.args, made.keys, made.due, made.traces);
    end loop;
    return null;
end
$$;
revoke execute on function raw_ops.enqueue_webhooks() from public;

drop trigger trg_enqueue_process_order on raw_ops.webhook_inbox;
drop trigger trg_enqueue_process_order_new on raw_ops.webhook_inbox;
create trigger trg_enqueue_webhooks after update of processing_status on raw_ops.webhook_inbox
for each row when (new.processing_status in ('pending', 'retrying')) execute function raw_ops.enqueue_webhooks();
create trigger trg_enqueue_webhooks_new after insert on raw_ops.webhook_inbox
referencing new table as new_rows for each statement execute function raw_ops.enqueue_webhooks();

create or replace trigger mark_webhook_failed
after insert on raw_ops.dead_letter_queue
for each row when (new.topic in ('orders.process_order', 'orders.process_refund', 'orders.process_fulfillment',
    'customers.process_customer', 'customers.handle_privacy_request'))
execute function raw_ops.follow_dead_letter($update$
    update raw_ops.webhook_inbox
    set processing_status = 'failed', processing_attempts = processing_attempts + coalesce(($1).attempts, 1),
        last_error = ($1).error_message, last_error_at = engine.now(), error_category = ($1).category, updated_at = engine.now()
    where id = (($1).payload ->> 'inbox_id')::uuid and processing_status <> 'success'
$update$);

-- Says that somebody sent a topic that no job reads: once a topic and day, and to people in one alert for all such topics of a
-- source. The topic is a claim of the request, which nobody signed, so what is no topic's name is not repeated.
create function raw_ops.note_unknown_topic(inbox_id uuid, source text, topic text) returns void
language plpgsql
as $$
declare
    named text := case when topic ~ '^[a-z_]{1,60}/[a-z_]{1,60}$' then topic else 'of no known form' end;
begin
    if exists (
        select from raw_ops.ops_events e
        where e.kind = 'WEBHOOK_UNKNOWN_TOPIC' and e.meta ->> 'topic' = named and e.source_system = lower(source)
          and e.created_at > (select engine.now()) - interval '1 day'
    ) then
        return;
    end if;
    perform raw_ops.log_event('WEBHOOK', inbox_id, 'WEBHOOK_UNKNOWN_TOPIC', source || ' sent topic ' || named || ', which no job reads',
        jsonb_build_object('topic', named), lower(source), inbox_id);
    perform from raw_ops.raise_alert('warning', source || ' sends topic ' || named || ', which no job reads',
        format('The webhook is kept as ignored. Take the topic out of the subscriptions in %s, or have a job read it.', source),
        jsonb_build_array(jsonb_build_object('label', 'Webhook', 'value', inbox_id, 'inline', true)),
        key => 'webhooks unknown topic ' || lower(source), source_check => 'webhooks');
end
$$;

-- As 0062, but for what becomes of a topic that no job reads. `are_orders` says of each delivery whether a job reads it: the
-- name is that of the first such topics, and programs of the version before call it so.
create or replace function raw_ops.store_shopify_webhooks(
    ids uuid[], shops text[], topics text[], webhook_ids text[], event_ids text[], triggered timestamptz[], headers text[],
    payloads text[], bodies bytea[], digests bytea[], order_ids bigint[], order_numbers text[], are_orders boolean[], unfit text[]
) returns table (id uuid, replay_of uuid)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    stored record;
begin
    for stored in
        insert into raw_ops.webhook_inbox as w (
            source, received_at, id, shop, topic, webhook_id, event_id, triggered_at, raw_headers, raw_payload, raw_body, body_sha256,
            shopify_order_id, shopify_order_number, last_error, hmac_verified, replay_of, processing_status
        )
        select
            'shopify', (select engine.now()), d.id, d.shop, d.topic, d.webhook_id, d.event_id, d.triggered_at, d.headers::jsonb,
            d.payload::jsonb, d.body, d.body_sha256, d.order_id, d.order_number, d.unfit, true, seen.id,
            case when seen.id is not null then 'suspected_replay' when d.is_read then 'pending' else 'ignored' end
        from unnest(ids, shops, topics, webhook_ids, event_ids, triggered, headers, payloads, bodies, digests, order_ids,
            order_numbers, are_orders, store_shopify_webhooks.unfit
        ) d (
            id, shop, topic, webhook_id, event_id, triggered_at, headers, payload, body, body_sha256, order_id, order_number, is_read, unfit
        )
        left join lateral (
            select i.id
            from raw_ops.webhook_inbox i
            where i.source = 'shopify' and i.shop = d.shop and i.topic = d.topic and i.body_sha256 = d.body_sha256
            order by i.received_at
            limit 1
        ) seen on true
        on conflict (source, shop, webhook_id) do nothing
        returning w.id, w.topic, w.replay_of, w.processing_status
    loop
        if stored.processing_status = 'ignored' then
            perform raw_ops.note_unknown_topic(stored.id, 'Shopify', stored.topic);
        end if;
        id := stored.id;
        replay_of := stored.replay_of;
        return next;
    end loop;
end
$$;

-- As 0048, for every topic that a job reads.
create or replace function raw_ops.webhooks_to_retry(max_rows integer) returns setof uuid
language sql volatile
as $$
    select i.id
    from raw_ops.webhook_inbox i
    where i.processing_status in ('pending', 'processing', 'failed', 'retrying')
      and raw_ops.webhook_kind(i.source, i.topic) is not null
      and greatest(i.received_at, i.updated_at, i.last_error_at) < (select engine.now()) - interval '5 minutes'
      and i.processing_attempts < (select raw_ops.threshold('webhooks.max_attempts'))
      and not exists (select from raw_ops.retry_config c where c.error_category = i.error_category and c.max_attempts <= 1)
      and not exists (select from engine.unique_key u where u.kind = raw_ops.webhook_kind(i.source, i.topic) and u.key = i.id::text)
    order by i.received_at, i.id
    limit max_rows
    for no key update skip locked
$$;

create or replace function raw_ops.retry_failed_webhooks(max_rows integer default 100)
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
    from raw_ops.webhook_inbox i, engine.unique_key u
    where i.id = any (chosen) and u.kind = raw_ops.webhook_kind(i.source, i.topic) and u.key = i.id::text
      and d.topic = u.kind and not d.resolved and d.payload ->> 'inbox_id' = u.key;
    return query
        select c.id, u.job_id
        from unnest(chosen) with ordinality c (id, place)
        join raw_ops.webhook_inbox i on i.id = c.id
        join engine.unique_key u on u.kind = raw_ops.webhook_kind(i.source, i.topic) and u.key = c.id::text
        order by c.place;
end
$$;

-- Writes on a webhook that its job has done what it asks. `began` is on the real clock.
create function raw_ops.settle_webhook(inbox_id uuid, began timestamptz) returns void
language plpgsql
as $$
begin
    update raw_ops.webhook_inbox w
    set processing_status = 'success', processed_at = engine.now(), updated_at = engine.now(),
        processing_attempts = w.processing_attempts + 1, last_error = null, error_category = null,
        processing_duration_ms = extract(milliseconds from clock_timestamp() - began),
        processing_time_ms = extract(milliseconds from clock_timestamp() - began)
    where w.id = inbox_id;
end
$$;
