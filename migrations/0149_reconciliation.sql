-- What webhooks missed: orders that Shopify changed and nobody told us of are found by asking, and laid into the inbox.
--
-- Shopify deletes a subscription after eight deliveries that failed in a row, and says so by mail only. So every order that it
-- changed is looked up a while after; one that is not here as new as it is there becomes a row of the inbox, as if its
-- webhook had come, and its refunds and fulfilments with it. The rest is what webhooks do anyway.
-- Locks: none. At run time: the inserted rows, and the row of system_config that says how far it got.

-- Up to when the orders of Shopify are known to be here.
create function raw_ops.orders_reconciled_until() returns timestamptz
language sql volatile
as $$
    select coalesce((select c.value::timestamptz from raw_ops.system_config c where c.key = 'shopify.orders_reconciled_until'),
        engine.now() - interval '2 days')
$$;

-- Of these orders, each with the time of its last change at Shopify, those that are not here as new. What lies in the inbox
-- since then, also as failed, was told and is no concern of this.
create function raw_ops.orders_behind(order_ids bigint[], changed timestamptz[]) returns setof bigint
language sql stable
as $$
    select w.id
    from unnest(order_ids, changed) with ordinality w (id, at, place)
    where not exists (select from raw_ops.orders o where o.shopify_order_id = w.id::text and o.updated_at_shopify >= w.at)
      and not exists (
          select from raw_ops.webhook_inbox i
          where i.shopify_order_id = w.id and i.source = 'shopify' and i.topic like 'orders/%' and i.received_at >= w.at
            and i.processing_status in ('pending', 'processing', 'retrying', 'failed'))
    order by w.place
$$;

-- Lays an order that webhooks missed into the inbox, with its refunds and fulfilments. `document` is what Shopify answered.
-- Returns how many rows are new; null when the document cannot be kept, which is noted and stops no other.
create function raw_ops.store_missed_order(shop text, document text) returns integer
language plpgsql
as $$
declare
    missed jsonb;
    made integer;
begin
    missed := document::jsonb;
    insert into raw_ops.webhook_inbox
        (source, shop, topic, webhook_id, raw_headers, raw_payload, shopify_order_id, shopify_order_number, received_at, created_at, updated_at)
    select 'shopify', store_missed_order.shop, d.topic,
        concat_ws(':', 'reconciled', d.topic, d.payload ->> 'id', coalesce(d.payload ->> 'updated_at', d.payload ->> 'created_at')),
        '{"reconciled": true}', d.payload, (missed ->> 'id')::bigint, missed ->> 'order_number', engine.now(), engine.now(), engine.now()
    from (
        select 'orders/updated', missed
        union all select 'refunds/create', r from jsonb_array_elements(raw_ops.shopify_list(missed, 'refunds')) r
        union all select 'fulfillments/update', f from jsonb_array_elements(raw_ops.shopify_list(missed, 'fulfillments')) f
    ) d (topic, payload)
    on conflict on constraint webhook_inbox_delivery_key do nothing;
    get diagnostics made = row_count;
    return made;
exception when data_exception or integrity_constraint_violation then
    perform raw_ops.log_event('WEBHOOK', gen_random_uuid(), 'ORDER_NOT_RECONCILED', 'An order of Shopify cannot be kept: ' || sqlerrm,
        jsonb_build_object('document', left(document, 200)), 'shopify', null);
    return null;
end
$$;

-- Notes how far the orders of Shopify are known to be here, which only grows, and tells people when webhooks missed some.
create function raw_ops.settle_reconciliation(until timestamptz, missed integer) returns void
language plpgsql
as $$
begin
    insert into raw_ops.system_config as c (key, value) values ('shopify.orders_reconciled_until', until::text)
    on conflict (key) do update set value = excluded.value where c.value::timestamptz < excluded.value::timestamptz;
    if missed > 0 then
        perform from raw_ops.raise_alert('warning', 'Webhooks of Shopify were missed',
            format('%s orders had changed at Shopify and no webhook had told of it. See whether the subscriptions are still there.', missed),
            key => 'webhooks missed', source_check => 'webhooks');
    end if;
end
$$;
