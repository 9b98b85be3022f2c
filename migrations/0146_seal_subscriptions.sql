-- Subscriptions made true from webhooks of Seal.
--
-- An older document changes no subscription; what it tells of a billing attempt is taken, since an attempt only moves forward.
-- Locks: access exclusive on raw_ops.subscriptions for a moment. At run time: the inbox row, an advisory lock on the
-- subscription, a customer, the subscription, its attempts, orders.

alter table raw_ops.subscriptions add column seal_updated_at timestamptz;
comment on column raw_ops.subscriptions.seal_updated_at is 'The age of the newest document of Seal: the newest time in it.';

-- Writes one billing attempt as a document shows it. `is_news` says that the document is the newest known: then it also decides
-- over what has not been tried yet. `tries` is null where the document does not say.
create function raw_ops.save_billing_attempt(
    sub raw_ops.subscriptions, attempt jsonb, is_news boolean, tries integer, tried_at timestamptz
) returns void
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

-- Writes down the attempts of a document, and the one that the webhook is about. What a newest document does not show any more
-- of what was to come was taken out of the schedule. Orders that subscriptions made are marked as such.
create function raw_ops.save_billing_attempts(sub raw_ops.subscriptions, payload jsonb, is_news boolean) returns void
language plpgsql
as $$
declare
    told jsonb := coalesce(raw_ops.shopify_object(payload, 'failed_billing_attempt'), raw_ops.shopify_object(payload, 'processed_billing_attempt'));
    has_failed boolean := raw_ops.shopify_object(payload, 'failed_billing_attempt') is not null;
    attempt jsonb;
begin
    for attempt in
        select distinct on (a ->> 'id') a || case when a ->> 'id' = told ->> 'id'
            then jsonb_build_object('status', case when has_failed then 'failed' else 'success' end) else '{}' end
        from (
            select e, 1 from jsonb_array_elements(raw_ops.shopify_list(payload, 'billing_attempts')) e
            -- The schedule may not show the attempt any more that the webhook is about.
            union all select told, 2 where told is not null
        ) l (a, n)
        where raw_ops.shopify_text(a, 'id') is not null and raw_ops.seal_time(a ->> 'date') is not null
        order by a ->> 'id', n
    loop
        if attempt ->> 'id' = told ->> 'id' then
            perform raw_ops.save_billing_attempt(sub, attempt, is_news, (told ->> 'number_of_tries')::integer,
                raw_ops.seal_time(told ->> 'completed_at'));
        else
            perform raw_ops.save_billing_attempt(sub, attempt, is_news, null, raw_ops.seal_time(attempt ->> 'completed_at'));
        end if;
    end loop;
    if is_news and jsonb_typeof(payload -> 'billing_attempts') = 'array' then
        update raw_ops.billing_attempts b set status = 'cancelled', updated_at = engine.now()
        where b.seal_subscription_id = sub.seal_subscription_id and b.status in ('scheduled', 'skipped')
          and b.seal_billing_attempt_id is distinct from told ->> 'id'
          and not exists (select from jsonb_array_elements(payload -> 'billing_attempts') e where e ->> 'id' = b.seal_billing_attempt_id);
    end if;
    update raw_ops.orders o set is_subscription = true
    where not o.is_subscription and o.shopify_order_id in (
        select raw_ops.shopify_text(payload, 'order_id')
        union select b.shopify_order_id from raw_ops.billing_attempts b where b.seal_subscription_id = sub.seal_subscription_id);
end
$$;

-- Writes the subscription itself as the newest document shows it. `old` is null for a new one.
create function raw_ops.save_seal_subscription(
    payload jsonb, customer uuid, old raw_ops.subscriptions, age timestamptz, received timestamptz
) returns raw_ops.subscriptions
language plpgsql
as $$
declare
    saved raw_ops.subscriptions;
    now_status text := lower(payload ->> 'status');
    contract text := coalesce(raw_ops.shopify_text(payload, 'shopify_graphql_subscription_contract_id'), old.shopify_subscription_id,
        'seal:' || (payload ->> 'id'));
    days numeric := raw_ops.seal_days(payload ->> 'delivery_interval');
    card_year integer := (raw_ops.shopify_text(payload, 'card_expiry_year'))::integer;
    ship text := nullif(concat_ws(', ', raw_ops.shopify_text(payload, 's_address1'), raw_ops.shopify_text(payload, 's_address2'),
        raw_ops.shopify_text(payload, 's_city'), raw_ops.shopify_text(payload, 's_province'), raw_ops.shopify_text(payload, 's_zip'),
        raw_ops.shopify_text(payload, 's_country')), '');
begin
    -- The contract may be known only now, or be another one.
    update raw_ops.subscriptions s set shopify_subscription_id = contract where s.id = old.id and s.shopify_subscription_id <> contract;
    insert into raw_ops.subscriptions as s
        (customer_id, shopify_subscription_id, seal_subscription_id, seal_internal_id, shopify_customer_id, status, frequency_weeks,
         frequency_is_approximate, delivery_interval, billing_interval, price_gbp, currency, next_billing_date, paused_at, cancelled_at,
         shipping_address, email, card_brand, card_last_digits, card_expiry_month, card_expiry_year, variant_id, subscription_created_at,
         last_synced_at, seal_updated_at, seal_payload, created_at, updated_at)
    values (customer, contract,
        payload ->> 'id', raw_ops.shopify_text(payload, 'internal_id'), (raw_ops.shopify_text(payload, 'customer_id'))::bigint, now_status,
        coalesce(greatest(round(days / 7), 1)::integer, old.frequency_weeks, 4),
        coalesce(days % 7 <> 0, old.frequency_is_approximate, true), raw_ops.shopify_text(payload, 'delivery_interval'),
        raw_ops.shopify_text(payload, 'billing_interval'), coalesce((raw_ops.shopify_text(payload, 'total_value'))::numeric, old.price_gbp),
        coalesce(upper(raw_ops.shopify_text(payload, 'currency')), old.currency, 'GBP'),
        case when now_status = 'active' then (
            select min((raw_ops.seal_time(a ->> 'date') at time zone 'Europe/London')::date)
            from jsonb_array_elements(raw_ops.shopify_list(payload, 'billing_attempts')) a where raw_ops.seal_attempt_status(a) = 'scheduled'
        ) end,
        case when now_status = 'paused' then coalesce(raw_ops.seal_time(payload ->> 'paused_on'), old.paused_at, age, received) end,
        case when now_status in ('cancelled', 'expired') then coalesce(raw_ops.seal_time(payload ->> 'cancelled_on'), old.cancelled_at, age, received) end,
        ship, raw_ops.shopify_text(payload, 'email'), raw_ops.shopify_text(payload, 'card_brand'),
        raw_ops.shopify_text(payload, 'card_last_digits'), (raw_ops.shopify_text(payload, 'card_expiry_month'))::integer,
        card_year + case when card_year < 100 then 2000 else 0 end,
        (raw_ops.shopify_text(raw_ops.shopify_list(payload, 'items') -> 0, 'variant_id'))::bigint,
        coalesce(raw_ops.seal_time(payload ->> 'order_placed'), old.subscription_created_at), received, age, payload, engine.now(), engine.now())
    on conflict (shopify_subscription_id) do update set
        (customer_id, seal_subscription_id, seal_internal_id, shopify_customer_id, status, frequency_weeks, frequency_is_approximate)
            = (excluded.customer_id, excluded.seal_subscription_id, excluded.seal_internal_id, excluded.shopify_customer_id, excluded.status,
               excluded.frequency_weeks, excluded.frequency_is_approximate),
        (delivery_interval, billing_interval, price_gbp, currency, next_billing_date, paused_at, cancelled_at)
            = (excluded.delivery_interval, excluded.billing_interval, excluded.price_gbp, excluded.currency, excluded.next_billing_date,
               excluded.paused_at, excluded.cancelled_at),
        (shipping_address, email, card_brand, card_last_digits, card_expiry_month, card_expiry_year, variant_id)
            = (excluded.shipping_address, excluded.email, excluded.card_brand, excluded.card_last_digits, excluded.card_expiry_month,
               excluded.card_expiry_year, excluded.variant_id),
        (subscription_created_at, last_synced_at, seal_updated_at, seal_payload, updated_at)
            = (excluded.subscription_created_at, excluded.last_synced_at, excluded.seal_updated_at, excluded.seal_payload, excluded.updated_at)
    returning * into saved;
    return saved;
end
$$;

-- Where the payment of a subscription stands, by its attempts: the newest that was tried decides. Dunning counts from the first
-- failure of its cycle. `INVOICE_ALREADY_PAID` is no failure.
create function raw_ops.settle_subscription_payment(sub uuid) returns void
language plpgsql
as $$
declare
    newest raw_ops.billing_attempts;
begin
    select * into newest from raw_ops.billing_attempts b
    where b.subscription_id = sub and b.status in ('success', 'failed') and coalesce(b.error_code, '') <> 'INVOICE_ALREADY_PAID'
    order by b.scheduled_at desc, b.id limit 1;
    if newest.status = 'failed' then
        update raw_ops.subscriptions s
        set payment_status = case when s.status = 'active' then 'failing' else 'failed' end,
            failed_payment_count = newest.retry_count + 1, last_failed_at = greatest(s.last_failed_at, newest.attempted_at, newest.scheduled_at),
            dunning_started_at = coalesce(
                (select min(e.event_at) from raw_ops.subscription_events e
                 where e.subscription_id = sub and e.event_type = 'billing_attempt.failed' and e.payload ->> 'attempt' = newest.seal_billing_attempt_id),
                s.dunning_started_at, newest.attempted_at, newest.scheduled_at), last_error_message = newest.error_message
        where s.id = sub;
    elsif newest.status = 'success' then
        update raw_ops.subscriptions s
        set payment_status = 'healthy', failed_payment_count = 0, dunning_started_at = null, last_error_message = null,
            dunning_email_day0_sent = false, dunning_email_day3_sent = false, dunning_email_day7_sent = false, dunning_email_day10_sent = false
        where s.id = sub and (s.payment_status <> 'healthy' or s.dunning_started_at is not null);
    end if;
end
$$;

-- Writes what happened: the event, and of an attempt that was tried the payment too, each try once.
create function raw_ops.log_seal_event(
    inbox raw_ops.seal_webhook_inbox, sub raw_ops.subscriptions, status_before text, outcome text, age timestamptz
) returns void
language plpgsql
as $$
declare
    failed jsonb := raw_ops.shopify_object(inbox.payload, 'failed_billing_attempt');
    told jsonb := coalesce(failed, raw_ops.shopify_object(inbox.payload, 'processed_billing_attempt'));
    tried raw_ops.billing_attempts;
    kind text := raw_ops.seal_event(inbox.webhook_topic, status_before, sub.status);
    tries integer := coalesce((told ->> 'number_of_tries')::integer, 1);
    at timestamptz := coalesce(raw_ops.seal_time(told ->> 'completed_at'), age, inbox.received_at);
begin
    if told is not null and exists (
        select from raw_ops.subscription_events e
        where e.seal_subscription_id = sub.seal_subscription_id and e.event_type = kind
          and e.payload ->> 'attempt' = told ->> 'id' and e.payload ->> 'tries' = tries::text
    ) then
        return;
    end if;
    insert into raw_ops.subscription_events
        (subscription_id, seal_subscription_id, customer_id, event_type, event_source, old_status, new_status, payload, event_at, created_at)
    values (sub.id, sub.seal_subscription_id, sub.customer_id, kind, 'seal', status_before, sub.status, jsonb_strip_nulls(jsonb_build_object(
            'inbox_id', inbox.id, 'topic', inbox.webhook_topic, 'outcome', outcome, 'attempt', told ->> 'id',
            'tries', case when told is not null then tries end, 'log', raw_ops.shopify_list(inbox.payload, 'log') -> -1 ->> 'content')),
        at, engine.now());
    if inbox.webhook_topic not in ('billing_attempt/failed', 'billing_attempt/succeeded') then
        return;
    end if;
    select * into tried from raw_ops.billing_attempts b where b.seal_billing_attempt_id = told ->> 'id';
    insert into raw_ops.payment_events
        (customer_id, order_id, subscription_id, event_type, failure_reason, attempt_number, amount_pence, event_metadata, created_at)
    values (sub.customer_id, tried.order_id, sub.id, case when inbox.webhook_topic = 'billing_attempt/failed' then 'payment_failed'
            when tried.retry_count > 0 then 'payment_recovered' else 'payment_succeeded' end,
        case when failed is not null then tried.error_message end, tries, tried.amount_pence, jsonb_strip_nulls(jsonb_build_object(
            'seal_billing_attempt_id', told ->> 'id', 'error_code', tried.error_code, 'inbox_id', inbox.id)), at);
end
$$;

-- Processes the webhook that lies in the inbox of Seal under `inbox_id`.
--
-- Returns the subscription, and `created`, `updated`, or `stale` when a newer document is known: of two of the same age the one
-- that came later. The inbox row is marked in the same transaction. Errors: P0002 when there is no such row, class 22 and 23
-- when the document is no sound subscription, 40001 when a concurrent writer won: run again.
create function raw_ops.process_seal_webhook_txn(inbox_id uuid) returns table (subscription_id uuid, outcome text)
language plpgsql
as $$
declare
    began timestamptz := clock_timestamp();  -- Elapsed work, not a date: the real clock even under a test clock.
    inbox raw_ops.seal_webhook_inbox;
    old raw_ops.subscriptions;
    sub raw_ops.subscriptions;
    customer uuid;
    age timestamptz;
begin
    select * into inbox from raw_ops.seal_webhook_inbox w where w.id = $1 for update;
    if not found then
        raise exception 'webhook % is not in the inbox of Seal', $1 using errcode = 'P0002';
    elsif raw_ops.shopify_text(inbox.payload, 'id') is null or raw_ops.shopify_text(inbox.payload, 'status') is null then
        raise exception 'the payload is not a subscription of Seal: id or status is missing' using errcode = '22023';
    end if;
    perform pg_advisory_xact_lock(hashtextextended('raw_ops.seal_subscription:' || (inbox.payload ->> 'id'), 0));
    select * into old from raw_ops.subscriptions s
    where s.seal_subscription_id = inbox.payload ->> 'id'
       or s.shopify_subscription_id = raw_ops.shopify_text(inbox.payload, 'shopify_graphql_subscription_contract_id')
    order by s.seal_subscription_id nulls last limit 1 for no key update;
    age := raw_ops.seal_age(inbox.payload);
    outcome := case
        when old.id is null then 'created'
        when (coalesce(age, inbox.received_at), inbox.received_at)
            < (coalesce(old.seal_updated_at, '-infinity'), coalesce(case when old.seal_updated_at is not null then old.last_synced_at end, '-infinity'))
            then 'stale'
        else 'updated'
    end;
    sub := old;
    if outcome <> 'stale' then
        customer := coalesce(raw_ops.seal_customer(inbox.payload, inbox.id), old.customer_id);
        sub := raw_ops.save_seal_subscription(inbox.payload, customer, old, coalesce(age, inbox.received_at), inbox.received_at);
    end if;
    perform raw_ops.save_billing_attempts(sub, inbox.payload, outcome <> 'stale');
    perform raw_ops.log_seal_event(inbox, sub, old.status, outcome, age);
    perform raw_ops.settle_subscription_payment(sub.id);
    subscription_id := sub.id;
    update raw_ops.seal_webhook_inbox w
    set processing_status = 'success', processed_at = engine.now(), processing_attempts = w.processing_attempts + 1, last_error = null,
        error_category = null, seal_subscription_id = sub.seal_subscription_id,
        processing_duration_ms = extract(milliseconds from clock_timestamp() - began)
    where w.id = inbox.id;
    return next;
end
$$;
