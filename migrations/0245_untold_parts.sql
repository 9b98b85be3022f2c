-- A refund or a fulfilment of which no webhook told is found although its order is as new as Shopify's: a document of the order lists it.
-- Only orders that were behind were looked at, so the cancelled units of a current one were sent.
-- Locks: none that lasts. At run time: none but the rows that it adds.

create function raw_ops.store_untold_parts(since timestamptz, until timestamptz) returns integer
language plpgsql
as $$
declare
    orders integer;
begin
    with made as (
        insert into raw_ops.webhook_inbox
            (source, shop, topic, webhook_id, raw_headers, raw_payload, shopify_order_id, shopify_order_number, received_at, created_at,
             updated_at)
        select distinct on (d.topic, d.payload ->> 'id') 'shopify', i.shop, d.topic,
            concat_ws(':', 'reconciled', d.topic, d.payload ->> 'id', coalesce(d.payload ->> 'updated_at', d.payload ->> 'created_at')),
            '{"reconciled": true}', jsonb_build_object('order_id', i.shopify_order_id) || d.payload, i.shopify_order_id,
            i.shopify_order_number, engine.now(), engine.now(), engine.now()
        from raw_ops.webhook_inbox i
        cross join lateral (
            select 'refunds/create', r from jsonb_array_elements(raw_ops.shopify_list(i.raw_payload, 'refunds')) r
            union all select 'fulfillments/update', f from jsonb_array_elements(raw_ops.shopify_list(i.raw_payload, 'fulfillments')) f
        ) d (topic, payload)
        where i.processing_status = 'success' and i.processed_at > since and i.processed_at <= until
          and i.source = 'shopify' and i.topic like 'orders/%' and i.shopify_order_id is not null and d.payload ->> 'id' is not null
          and not exists (
              select from raw_ops.webhook_inbox k
              where k.shopify_order_id = i.shopify_order_id and k.source = 'shopify'
                and split_part(k.topic, '/', 1) = split_part(d.topic, '/', 1) and k.raw_payload ->> 'id' = d.payload ->> 'id')
          -- One that has not been processed does not say yet whose it is.
          and not exists (
              select from raw_ops.webhook_inbox k
              where k.processing_status in ('pending', 'processing', 'retrying', 'failed') and k.source = 'shopify'
                and split_part(k.topic, '/', 1) = split_part(d.topic, '/', 1) and k.raw_payload ->> 'id' = d.payload ->> 'id')
        order by d.topic, d.payload ->> 'id', i.received_at desc
        on conflict on constraint webhook_inbox_delivery_key do nothing
        returning shopify_order_id
    )
    select count(distinct shopify_order_id) into orders from made;
    return orders;
exception when data_exception or integrity_constraint_violation then
    perform raw_ops.log_event('WEBHOOK', gen_random_uuid(), 'ORDER_NOT_RECONCILED', 'What orders of Shopify list cannot be kept: ' || sqlerrm,
        jsonb_build_object('since', since, 'until', until), 'shopify', null);
    return 0;
end
$$;
comment on function raw_ops.store_untold_parts(timestamptz, timestamptz) is
    'Lays refunds and fulfilments into the inbox that order documents processed in a span list and no webhook told of; of how many orders.';
revoke all on function raw_ops.store_untold_parts(timestamptz, timestamptz) from public;
