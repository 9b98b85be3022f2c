-- Webhooks of Seal: stored once by topic and bytes, and how they are read.
--
-- A webhook is the whole subscription, flat, without an id of the delivery and without an age. Its age is the newest time in it:
-- Seal writes every change into the subscription's log. What happened is told by the status before and after, not by the topic:
-- a pause by the customer comes as `subscription/updated`.
-- Locks: share row exclusive on seal_webhook_inbox and dead_letter_queue, for a moment.

create trigger trg_enqueue_process_event after update of processing_status on raw_ops.seal_webhook_inbox
for each row when (new.processing_status in ('pending', 'retrying'))
execute function raw_ops.enqueue_row('subscriptions.process_event', 'subscriptions', 'inbox_id', 'id', '', 'headers');
create trigger trg_enqueue_process_event_new after insert on raw_ops.seal_webhook_inbox
referencing new table as new_rows for each statement
execute function raw_ops.enqueue_row('subscriptions.process_event', 'subscriptions', 'inbox_id', 'id', '', 'headers',
    'processing_status in (''pending'', ''retrying'')');

create trigger mark_seal_webhook_failed
after insert on raw_ops.dead_letter_queue
for each row when (new.topic = 'subscriptions.process_event')
execute function raw_ops.follow_dead_letter($update$
    update raw_ops.seal_webhook_inbox
    set processing_status = 'failed', processing_attempts = processing_attempts + coalesce(($1).attempts, 1),
        last_error = ($1).error_message, error_category = ($1).category, processed_at = engine.now()
    where id = (($1).payload ->> 'inbox_id')::uuid and processing_status <> 'success'
$update$);

-- Stores a verified webhook of Seal: `enqueued`, `unknown_topic`, or `duplicate` when its topic and bytes are known. `payload`
-- is what jsonb can hold of the body; null with the reason in `unfit` when that is nothing.
create function raw_ops.store_seal_webhook(
    topic text, subscription text, payload text, headers text, body bytea, idempotency_key text, is_read boolean, unfit text
) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    made uuid;
begin
    insert into raw_ops.seal_webhook_inbox as s
        (webhook_topic, seal_subscription_id, payload, headers, raw_body, idempotency_key, hmac_valid, processing_status, last_error, received_at, created_at)
    values (topic, subscription, store_seal_webhook.payload::jsonb, store_seal_webhook.headers::jsonb, body, store_seal_webhook.idempotency_key,
            true, case when is_read then 'pending' else 'ignored' end, unfit, engine.now(), engine.now())
    on conflict on constraint seal_webhook_inbox_idempotency_key_key do nothing
    returning s.id into made;
    if made is null then
        return 'duplicate';
    elsif not is_read then
        perform raw_ops.note_unknown_topic(made, 'Seal', topic);
        return 'unknown_topic';
    end if;
    return 'enqueued';
end
$$;
revoke execute on function raw_ops.store_seal_webhook(text, text, text, text, bytea, text, boolean, text) from public;

-- A time as Seal writes it: with a zone, or in UTC without one; empty text is none.
create function raw_ops.seal_time(written text) returns timestamptz
language sql stable parallel safe
as $$
    select case
        when nullif(btrim(written), '') is null then null
        when written ~ '(Z|[+-][0-9]{2}:?[0-9]{2})$' then written::timestamptz
        else written::timestamp at time zone 'UTC'
    end
$$;

-- The newest time in a document: its age.
create function raw_ops.seal_age(payload jsonb) returns timestamptz
language sql stable
as $$
    select max(raw_ops.seal_time(t.written))
    from (
        select e ->> 'created' from jsonb_array_elements(raw_ops.shopify_list(payload, 'log')) e
        union all select a ->> 'completed_at' from jsonb_array_elements(raw_ops.shopify_list(payload, 'billing_attempts')) a
        union all select payload -> 'failed_billing_attempt' ->> 'completed_at'
        union all select payload -> 'processed_billing_attempt' ->> 'completed_at'
        union all select payload ->> 'paused_on'
        union all select payload ->> 'cancelled_on'
        union all select payload ->> 'order_placed'
    ) t (written)
$$;

-- An interval such as `4 week` or `1 month` in days; null when it is none.
create function raw_ops.seal_days(written text) returns numeric
language sql immutable parallel safe
as $$
    select m[1]::numeric * case m[2] when 'day' then 1 when 'week' then 7 when 'month' then 30.4375 else 365.25 end
    from regexp_match(lower(btrim(written)), '^([1-9][0-9]{0,3}) (day|week|month|year)s?$') m
$$;

-- Where a billing attempt stands. Its words are not documented, so what it carries counts for more: an order means that it was
-- paid, an error that it failed.
create function raw_ops.seal_attempt_status(attempt jsonb) returns text
language sql immutable parallel safe
as $$
    select case
        when lower(attempt ->> 'status') in ('success', 'succeeded', 'completed', 'processed', 'paid') or raw_ops.shopify_text(attempt, 'order_id') is not null
            then 'success'
        when lower(attempt ->> 'status') in ('failed', 'error', 'failure')
            or coalesce(raw_ops.shopify_text(attempt, 'error_code'), raw_ops.shopify_text(attempt, 'error_message')) is not null then 'failed'
        when lower(attempt ->> 'status') in ('skipped', 'skip') then 'skipped'
        when lower(attempt ->> 'status') in ('cancelled', 'canceled') then 'cancelled'
        else 'scheduled'
    end
$$;

-- How far along an attempt is: it never goes back by itself, only a newer document may say that it is skipped or not.
create function raw_ops.attempt_rank(status text) returns integer
language sql immutable parallel safe
as $$ select case status when 'success' then 3 when 'failed' then 2 when 'processing' then 1 else 0 end $$;

-- What happened, in our words: by the status before and after, and where these are the same by the topic.
create function raw_ops.seal_event(topic text, status_before text, status_now text) returns text
language sql immutable parallel safe
as $$
    select case
        when status_before is null and topic like 'subscription/%' then 'subscription.created'
        when topic like 'subscription/%' and status_before <> status_now then 'subscription.' || case
            when status_now <> 'active' then status_now when status_before = 'paused' then 'resumed' else 'reactivated' end
        else replace(replace(topic, '/', '.'), 'succeeded', 'success')
    end
$$;

-- The customer of a subscription: by Shopify's id, else as orders find or make one.
create function raw_ops.seal_customer(payload jsonb, inbox_id uuid) returns uuid
language plpgsql
as $$
declare
    known uuid;
begin
    select c.id into known from raw_ops.customers c where c.shopify_customer_id = raw_ops.shopify_text(payload, 'customer_id');
    if known is null then
        known := raw_ops.shopify_customer_id(jsonb_build_object('customer', jsonb_build_object(
            'id', raw_ops.shopify_text(payload, 'customer_id'), 'email', raw_ops.shopify_text(payload, 'email'))), inbox_id);
        -- Of a customer who is known, Shopify says more and newer.
        update raw_ops.customers c
        set first_name = coalesce(c.first_name, raw_ops.shopify_text(payload, 'first_name')),
            last_name = coalesce(c.last_name, raw_ops.shopify_text(payload, 'last_name'))
        where c.id = known;
    end if;
    return known;
end
$$;
