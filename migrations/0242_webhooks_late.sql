-- 1. What waits for something else is tried for days: a scan whose parcel the packer told of a day later, a refund whose order comes later.
--    It was tried for three hours, since the thirty attempts of `not_ready` are more than a webhook may have failed.
-- 2. A payment that is told of after a newer document of its order counts. An order whose partial refund came before its payment stayed
--    PENDING for ever, and was never sent.
-- 3. A billing attempt that is to come has the price of today, not that of the day on which it was planned.
-- Locks: none that lasts. At run time: as before.

insert into raw_ops.config (key, value_numeric, description)
values ('webhooks.not_ready_days', 3, 'For so many days a webhook is tried again that waits for something else, as a scan for its parcel')
on conflict (key) do nothing;

create function raw_ops.may_come_right(category text, attempts integer, received_at timestamptz) returns boolean
language sql stable
as $$
    select case
        when category = 'not_ready' then received_at > engine.now() - make_interval(days => raw_ops.threshold('webhooks.not_ready_days')::integer)
        else attempts < raw_ops.threshold('webhooks.max_attempts')
    end and not exists (select from raw_ops.retry_config c where c.error_category = category and c.max_attempts <= 1)
$$;
comment on function raw_ops.may_come_right(text, integer, timestamptz) is 'Whether a webhook that failed so, this often, is tried again by itself.';
revoke all on function raw_ops.may_come_right(text, integer, timestamptz) from public;

create or replace function raw_ops.webhooks_to_retry(max_rows integer) returns SETOF uuid
language sql
as $$
    select i.id
    from raw_ops.webhook_inbox i
    where i.processing_status in ('pending', 'processing', 'failed', 'retrying')
      and raw_ops.webhook_kind(i.source, i.topic) is not null
      and greatest(i.received_at, i.updated_at, i.last_error_at) < (select engine.now()) - interval '5 minutes'
      and raw_ops.may_come_right(i.error_category, i.processing_attempts, i.received_at)
      and not exists (select from engine.unique_key u where u.kind = raw_ops.webhook_kind(i.source, i.topic) and u.key = i.id::text)
    order by i.received_at, i.id
    limit max_rows
    for no key update skip locked
$$;

create or replace function raw_ops.seal_webhooks_to_retry(max_rows integer) returns SETOF uuid
language sql
as $$
    select i.id
    from raw_ops.seal_webhook_inbox i
    where i.processing_status in ('pending', 'processing', 'failed', 'retrying')
      and greatest(i.received_at, i.processed_at) < (select engine.now()) - interval '5 minutes'
      and raw_ops.may_come_right(i.error_category, i.processing_attempts, i.received_at)
      and not exists (select from engine.unique_key u where u.kind = 'subscriptions.process_event' and u.key = i.id::text)
    order by i.received_at, i.id
    limit max_rows
    for no key update skip locked
$$;

create or replace function raw_ops.process_order_webhook_txn(inbox_id uuid) returns TABLE(order_id uuid, outcome text)
language plpgsql
as $$
declare
    began timestamptz := clock_timestamp();  -- Elapsed work, not a date: the real clock even under a test clock.
    inbox raw_ops.webhook_inbox;
    old raw_ops.orders;
    updated_at timestamptz;
    wanted raw_ops.order_status;
begin
    select * into inbox from raw_ops.webhook_inbox w where w.id = $1 for update;
    if not found then
        raise exception 'webhook % is not in the inbox', $1 using errcode = 'P0002';
    end if;
    perform raw_ops.check_shopify_order(inbox.topic, inbox.raw_payload);
    updated_at := coalesce(raw_ops.shopify_text(inbox.raw_payload, 'updated_at'), inbox.raw_payload ->> 'created_at')::timestamptz;

    perform pg_advisory_xact_lock(hashtextextended('raw_ops.shopify_order:' || (inbox.raw_payload ->> 'id'), 0));
    select * into old from raw_ops.orders o where o.shopify_order_id = inbox.raw_payload ->> 'id' for update;

    wanted := raw_ops.shopify_order_status(inbox.raw_payload);
    if wanted = 'PAID' and inbox.raw_payload ->> 'test' = 'true' and not exists (
        select from raw_ops.system_config c where c.key = 'orders.ship_test_orders' and c.value = 'true'
    ) then
        wanted := 'PENDING';
    end if;

    if old.id is null then
        outcome := 'created';
    elsif updated_at < old.updated_at_shopify
        or (updated_at = old.updated_at_shopify and raw_ops.next_order_status(old.status, wanted) = old.status) then
        outcome := 'stale';
    else
        outcome := 'updated';
    end if;
    order_id := case when outcome = 'stale' then old.id else raw_ops.apply_shopify_order(inbox, updated_at, old, wanted) end;
    if outcome = 'stale' and old.status = 'PENDING' and wanted = 'PAID' then
        -- What it says of the order is old, that the money came is not: a newer document may say how much of it went back.
        update raw_ops.orders o set status = 'PAID' where o.id = old.id;
        perform raw_ops.request_allocation(old.id, 'PAID');
        perform raw_ops.log_event('ORDER', old.id, 'order_updated', format('Order %s was paid, says a document that came late', old.order_number_label),
            jsonb_build_object('inbox_id', inbox.id, 'status_before', old.status, 'status', 'PAID'), 'shopify', inbox.id);
    end if;

    update raw_ops.webhook_inbox w
    set processing_status = 'success', processed_at = engine.now(), updated_at = engine.now(),
        processing_attempts = w.processing_attempts + 1, last_error = null, error_category = null,
        shopify_order_id = (inbox.raw_payload ->> 'id')::bigint,
        shopify_order_number = coalesce(inbox.raw_payload ->> 'order_number', w.shopify_order_number),
        processing_duration_ms = extract(milliseconds from clock_timestamp() - began),
        processing_time_ms = extract(milliseconds from clock_timestamp() - began)
    where w.id = inbox.id;
    return next;
end
$$;

create or replace function raw_ops.save_billing_attempt(sub raw_ops.subscriptions, attempt jsonb, is_news boolean, tries integer, tried_at timestamp with time zone) returns void
language plpgsql
as $$
declare
    status text := raw_ops.seal_attempt_status(attempt);
    ordered text := raw_ops.shopify_text(attempt, 'order_id');
begin
    insert into raw_ops.billing_attempts as b
        (subscription_id, seal_subscription_id, seal_billing_attempt_id, customer_id, scheduled_at, attempted_at, completed_at, status,
         shopify_order_id, order_id, error_code, error_message, retry_count, requires_authentication, authentication_url, amount_pence,
         currency, is_retry, triggered_manually, seal_payload, created_at, updated_at)
    select sub.id, sub.seal_subscription_id, attempt ->> 'id', sub.customer_id, raw_ops.seal_time(attempt ->> 'date'), tried_at,
        case when status = 'success' then coalesce(tried_at, raw_ops.seal_time(attempt ->> 'completed_at')) end, status, ordered,
        (select o.id from raw_ops.orders o where o.shopify_order_id = ordered),
        raw_ops.shopify_text(attempt, 'error_code'), raw_ops.shopify_text(attempt, 'error_message'), greatest(coalesce(tries, 1) - 1, 0),
        raw_ops.shopify_text(attempt, 'customer_authentication_challenge_url') is not null,
        raw_ops.shopify_text(attempt, 'customer_authentication_challenge_url'), round(sub.price_gbp * 100)::integer, sub.currency,
        coalesce(tries, 1) > 1, coalesce(lower(attempt ->> 'triggered_manually') in ('1', 'true', 'yes'), false), attempt,
        engine.now(), engine.now()
    on conflict (seal_billing_attempt_id) do update set
        scheduled_at = case when is_news then excluded.scheduled_at else b.scheduled_at end,
        attempted_at = greatest(b.attempted_at, excluded.attempted_at),
        completed_at = coalesce(b.completed_at, excluded.completed_at),
        status = excluded.status,
        shopify_order_id = coalesce(excluded.shopify_order_id, b.shopify_order_id),
        order_id = coalesce(excluded.order_id, b.order_id),
        error_code = coalesce(excluded.error_code, b.error_code),
        error_message = coalesce(excluded.error_message, b.error_message),
        amount_pence = case when is_news and raw_ops.attempt_rank(b.status) < 2 then excluded.amount_pence else b.amount_pence end,
        currency = case when is_news and raw_ops.attempt_rank(b.status) < 2 then excluded.currency else b.currency end,
        customer_id = coalesce(b.customer_id, excluded.customer_id),
        retry_count = greatest(b.retry_count, excluded.retry_count),
        requires_authentication = excluded.requires_authentication,
        authentication_url = excluded.authentication_url,
        is_retry = b.is_retry or excluded.is_retry,
        seal_payload = excluded.seal_payload,
        updated_at = excluded.updated_at
    where b.seal_subscription_id = excluded.seal_subscription_id
      and (raw_ops.attempt_rank(excluded.status) > raw_ops.attempt_rank(b.status)
           or (raw_ops.attempt_rank(excluded.status) = raw_ops.attempt_rank(b.status)
               and (is_news or excluded.retry_count > b.retry_count or (b.order_id is null and excluded.order_id is not null))));
end
$$;
