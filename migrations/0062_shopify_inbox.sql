-- How Shopify's deliveries are stored: one function that the HTTP process may call, and little else.
--
-- The process faces the internet. With statements of its own it would have to read the inbox, which holds what customers
-- wrote. This function acts with its owner's rights and can do one thing.
-- Locks: creates a new object only.

-- Stores deliveries, one element of each array a delivery, of which none has another's topic and body. Only what is news
-- and an order is left pending; the trigger of such a row makes its job. Returns the rows that are new, each with the
-- earlier row of the same topic and body: a suspected replay, which is kept and not run. A webhook id that is known
-- makes no row. A topic that no job reads is kept as `ignored` and noted, once a topic and day.
-- Locks: the inserted rows. Indexes: webhook_inbox_delivery_key, idx_webhook_inbox_body, idx_ops_events_kind_created.
create function raw_ops.store_shopify_webhooks(
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
            case when seen.id is not null then 'suspected_replay' when d.is_order then 'pending' else 'ignored' end
        from unnest(ids, shops, topics, webhook_ids, event_ids, triggered, headers, payloads, bodies, digests, order_ids,
            order_numbers, are_orders, store_shopify_webhooks.unfit
        ) d (
            id, shop, topic, webhook_id, event_id, triggered_at, headers, payload, body, body_sha256, order_id, order_number, is_order, unfit
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
            insert into raw_ops.ops_events (entity_type, entity_id, kind, message, meta, source_system, source_id)
            select 'WEBHOOK', stored.id, 'WEBHOOK_UNKNOWN_TOPIC', 'Shopify sent topic ' || stored.topic || ', which no job reads',
                jsonb_build_object('topic', stored.topic), 'shopify', stored.id
            where not exists (
                select from raw_ops.ops_events e
                where e.kind = 'WEBHOOK_UNKNOWN_TOPIC' and e.meta ->> 'topic' = stored.topic
                  and e.created_at > (select engine.now()) - interval '1 day'
            );
        end if;
        id := stored.id;
        replay_of := stored.replay_of;
        return next;
    end loop;
end
$$;
comment on function raw_ops.store_shopify_webhooks is 'Stores verified deliveries of Shopify.';
