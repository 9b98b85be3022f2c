-- Whoever sends again what is there already, and is told so, waits until the standby has it: see engine.await_standby.
-- Locks: none that lasts. At run time: none more.

create or replace function raw_ops.store_courier_event(payload text, headers text, body bytea, digest bytea, unfit text) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into raw_ops.webhook_inbox
        (source, topic, webhook_id, raw_headers, raw_payload, raw_body, body_sha256, last_error, hmac_verified, received_at, created_at, updated_at)
    values ('courier', 'tracking/event', 'sha256:' || encode(digest, 'hex'), headers::jsonb, payload::jsonb, body, digest, unfit, true,
            engine.now(), engine.now(), engine.now())
    on conflict (source, shop, webhook_id) do nothing;
    if not found then
        perform engine.await_standby();
        return 'duplicate';
    end if;
    return 'enqueued';
end
$$;

create or replace function raw_ops.store_dispatch_file(headers text, body bytea, digest bytea) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into raw_ops.webhook_inbox
        (source, topic, webhook_id, raw_headers, raw_payload, raw_body, body_sha256, hmac_verified, received_at, created_at, updated_at)
    values ('packer', 'dispatch/file', 'sha256:' || encode(digest, 'hex'), headers::jsonb, 'null', body, digest, true,
            engine.now(), engine.now(), engine.now())
    on conflict (source, shop, webhook_id) do nothing;
    if not found then
        perform engine.await_standby();
        return 'duplicate';
    end if;
    return 'enqueued';
end
$$;

create or replace function raw_ops.store_seal_webhook(topic text, subscription text, payload text, headers text, body bytea, idempotency_key text, is_read boolean, unfit text) returns text
language plpgsql security definer
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
        perform engine.await_standby();
        return 'duplicate';
    elsif not is_read then
        perform raw_ops.note_unknown_topic(made, 'Seal', topic);
        return 'unknown_topic';
    end if;
    return 'enqueued';
end
$$;

create or replace function raw_ops.store_shopify_webhooks(ids uuid[], shops text[], topics text[], webhook_ids text[], event_ids text[], triggered timestamp with time zone[], headers text[], payloads text[], bodies bytea[], digests bytea[], order_ids bigint[], order_numbers text[], are_orders boolean[], unfit text[]) returns TABLE(id uuid, replay_of uuid)
language plpgsql security definer
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
    if not found then
        perform engine.await_standby();
    end if;
end
$$;

create or replace function raw_ops.store_temperature_log(about text, headers text, body bytea, digest bytea) returns TABLE(inbox_id uuid, outcome text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    key text := 'sha256:' || encode(digest, 'hex');
begin
    insert into raw_ops.webhook_inbox as w
        (source, topic, webhook_id, raw_headers, raw_payload, raw_body, body_sha256, hmac_verified, received_at, created_at, updated_at)
    values ('logger', 'temperature/log', key, headers::jsonb, about::jsonb, body, digest, true, engine.now(), engine.now(), engine.now())
    on conflict (source, shop, webhook_id) do nothing
    returning w.id into inbox_id;
    outcome := case when inbox_id is null then 'duplicate' else 'enqueued' end;
    if inbox_id is null then
        select w.id into inbox_id from raw_ops.webhook_inbox w where w.source = 'logger' and w.shop = '' and w.webhook_id = key;
        perform engine.await_standby();
    end if;
    return next;
end
$$;

create or replace function raw_ops.take_delivery_report(report_id text, metric text, reported_at timestamp with time zone, delivery text, mail_id uuid, trigger_event text, person text, is_transactional boolean, reason text) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    found_id uuid;
begin
    if not is_transactional then
        update raw_ops.lifecycle_events e set customerio_delivery_id = delivery
        where e.customerio_event_id = trigger_event and e.customerio_delivery_id is null;
        if not found then
            perform engine.await_standby();
        end if;
        return 'campaign';
    end if;
    insert into raw_ops.delivery_reports (event_id, delivery_id, metric, reported_at, received_at, recipient, reason)
    values (report_id, delivery, metric, reported_at, engine.now(), lower(person), left(reason, 500))
    on conflict do nothing;
    if not found then
        perform engine.await_standby();
        return 'duplicate';
    end if;
    select o.id into found_id from raw_ops.outbox o where o.id = mail_id;
    if found_id is null then
        select o.id into found_id from raw_ops.outbox o where o.delivery_id = delivery;
    end if;
    if found_id is null and metric not in ('drafted', 'attempted') then
        found_id := raw_ops.mail_of_report(person, reported_at);
    end if;
    if found_id is null then
        return 'unmatched';
    end if;
    update raw_ops.delivery_reports r set outbox_id = found_id, recipient = null where r.event_id = report_id;
    perform raw_ops.apply_report(found_id, delivery, metric, left(reason, 500));
    return 'matched';
end
$$;

create or replace function raw_ops.clear_alert(key text, title text, message text) returns uuid
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    last raw_ops.alert_log;
    told raw_ops.alert_log;
    made uuid;
begin
    perform pg_advisory_xact_lock(hashtextextended('raw_ops.alert ' || clear_alert.key, 0));
    select * into last from raw_ops.alert_log a where a.idempotency_key = clear_alert.key order by a.sent_at desc, a.is_recovery desc limit 1;
    if last.id is null or last.is_recovery then
        perform engine.await_standby();
        return null;
    end if;
    -- What was only counted is over before anybody was told of it again.
    update raw_ops.alert_log a set idempotency_key = null where a.idempotency_key = clear_alert.key and a.delivery_status = 'suppressed';
    select * into told from raw_ops.alert_log a where a.idempotency_key = clear_alert.key order by a.sent_at desc, a.is_recovery desc limit 1;
    if told.id is null or told.is_recovery then
        perform engine.await_standby();
        return null;
    end if;
    insert into raw_ops.alert_log as a
        (sent_at, channel, severity, title, source_check, payload_json, delivery_status, idempotency_key, is_recovery)
    values (engine.now(), told.channel, 'info', clear_alert.title, told.source_check,
            jsonb_build_object('message', clear_alert.message, 'fields', '[]'::jsonb), 'pending', clear_alert.key, true)
    returning a.id into made;
    return made;
end
$$;

create or replace function raw_ops.close_privacy_request(request_id uuid, who text, answer text) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    update raw_ops.privacy_requests p
    set closed_at = engine.now(), closed_by = who, answer = close_privacy_request.answer
    where p.id = request_id and p.closed_at is null;
    if not found then
        perform engine.await_standby();
        return false;
    end if;
    return true;
end
$$;
