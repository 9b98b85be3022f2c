-- The order row and the lines of a Shopify order document.
--
-- Locks: creates new objects only. At run time: the order, then its lines in the order of their ids.

-- What may be set by the owner. Names of tags are compared without regard to case.
insert into raw_ops.system_config (key, value)
values
    ('orders.subscription_source_prefix', 'subscription_contract'),
    ('orders.subscription_tags', 'subscription,seal subscription'),
    ('orders.ship_test_orders', 'false');

-- Whether a document is an order made by a subscription. Unknown counts as no: the join with Seal corrects it later.
create function raw_ops.shopify_is_subscription(payload jsonb) returns boolean
language sql stable
as $$
    select exists (
        select from raw_ops.system_config c
        where (c.key = 'orders.subscription_source_prefix' and c.value <> ''
               and starts_with(coalesce(payload ->> 'source_name', ''), c.value))
           or (c.key = 'orders.subscription_tags' and exists (
               select from unnest(raw_ops.shopify_tags(payload)) t
               where lower(t) = any (string_to_array(lower(c.value), ','))))
    )
$$;

-- Where the goods go: the ship_* columns, or no row when the document names no shipping address.
create function raw_ops.shopify_ship_to(payload jsonb)
returns table (name text, phone text, address1 text, address2 text, city text, postcode text, country text)
language sql immutable parallel safe
as $$
    select
        coalesce(raw_ops.shopify_text(a, 'name'), nullif(concat_ws(' ',
            raw_ops.shopify_text(a, 'first_name'), raw_ops.shopify_text(a, 'last_name')), '')),
        raw_ops.shopify_text(a, 'phone'), raw_ops.shopify_text(a, 'address1'), raw_ops.shopify_text(a, 'address2'),
        raw_ops.shopify_text(a, 'city'), raw_ops.shopify_text(a, 'zip'),
        coalesce(raw_ops.shopify_text(a, 'country_code'), raw_ops.shopify_text(a, 'country'))
    from (select raw_ops.shopify_object(payload, 'shipping_address') as a) s
    where a is not null
$$;

-- What the columns of an order cannot hold, for people.
create function raw_ops.shopify_notes(payload jsonb) returns jsonb
language sql immutable parallel safe
as $$
    select jsonb_object_agg(key, value)
    from jsonb_each(payload)
    where value <> 'null' and key in (
        'note', 'note_attributes', 'test', 'source_name', 'financial_status', 'cancelled_at', 'cancel_reason',
        'total_discounts', 'presentment_currency')
$$;

-- Writes the order's own row and returns its id. What the document leaves out (a webhook can be subscribed to with
-- few fields) stays as it was.
create function raw_ops.save_shopify_order(
    payload jsonb, updated_at timestamptz, customer uuid, new_status raw_ops.order_status
) returns uuid
language plpgsql  -- As sql it would be planned anew at each call, which takes longer than it runs.
as $$
declare
    saved_order uuid;
begin
    with n as (
        select m.*, t.*,
            upper(payload ->> 'currency') as currency,
            upper(payload ->> 'currency') = 'GBP' as pounds,
            raw_ops.shopify_utm(payload) as utm,
            (payload ->> 'created_at')::timestamptz as created_at,
            (payload ->> 'processed_at')::timestamptz as processed_at
        from raw_ops.shopify_order_money(payload) m
        left join raw_ops.shopify_ship_to(payload) t on true
    )
    insert into raw_ops.orders as o (
        shopify_order_id, customer_id, status, currency, is_subscription, utm, utm_json,
        subtotal_ex_vat, vat, total_inc_vat, subtotal_gbp, tax_gbp, total_gbp, discount_gbp,
        order_number_label, created_at, ordered_at, created_at_shopify, updated_at_shopify, fulfillment_status,
        ship_name, ship_phone, ship_address1, ship_address2, ship_city, ship_postcode, ship_country,
        notes_json, tags, discount_codes, referral_slug
    )
    select
        payload ->> 'id', customer, new_status, n.currency, raw_ops.shopify_is_subscription(payload), n.utm, n.utm,
        n.subtotal_ex_vat, n.vat, n.total_inc_vat,
        case when n.pounds then n.subtotal_ex_vat end, case when n.pounds then n.vat end,
        case when n.pounds then n.total_inc_vat end, case when n.pounds then n.discount end,
        coalesce(raw_ops.shopify_text(payload, 'name'), '#' || (payload ->> 'order_number')),
        engine.now(), coalesce(n.processed_at, n.created_at, updated_at), n.created_at, updated_at,
        raw_ops.shopify_text(payload, 'fulfillment_status'),
        n.name, n.phone, n.address1, n.address2, n.city, n.postcode, n.country,
        raw_ops.shopify_notes(payload), raw_ops.shopify_tags(payload), payload -> 'discount_codes',
        coalesce(raw_ops.shopify_named_value(payload -> 'note_attributes', 'referral_slug'),
                 raw_ops.shopify_named_value(payload -> 'note_attributes', 'ref'))
    from n
    on conflict (shopify_order_id) do update set
        (status, updated_at_shopify, fulfillment_status, notes_json)
            = (excluded.status, excluded.updated_at_shopify, excluded.fulfillment_status, excluded.notes_json),
        (currency, subtotal_ex_vat, vat, total_inc_vat)
            = (excluded.currency, excluded.subtotal_ex_vat, excluded.vat, excluded.total_inc_vat),
        (subtotal_gbp, tax_gbp, total_gbp, discount_gbp)
            = (excluded.subtotal_gbp, excluded.tax_gbp, excluded.total_gbp, excluded.discount_gbp),
        (ship_name, ship_phone, ship_address1, ship_address2, ship_city, ship_postcode, ship_country) = (
            select v.name, v.phone, v.address1, v.address2, v.city, v.postcode, v.country
            from (values
                (true, excluded.ship_name, excluded.ship_phone, excluded.ship_address1, excluded.ship_address2,
                 excluded.ship_city, excluded.ship_postcode, excluded.ship_country),
                (false, o.ship_name, o.ship_phone, o.ship_address1, o.ship_address2,
                 o.ship_city, o.ship_postcode, o.ship_country)
            ) v (named, name, phone, address1, address2, city, postcode, country)
            where v.named = (raw_ops.shopify_object(payload, 'shipping_address') is not null)
        ),
        customer_id = coalesce(excluded.customer_id, o.customer_id),
        is_subscription = o.is_subscription or excluded.is_subscription,
        utm = coalesce(excluded.utm, o.utm),
        utm_json = coalesce(excluded.utm, o.utm),
        order_number_label = coalesce(excluded.order_number_label, o.order_number_label),
        created_at_shopify = coalesce(excluded.created_at_shopify, o.created_at_shopify),
        ordered_at = case when payload ? 'processed_at' or payload ? 'created_at' then excluded.ordered_at else o.ordered_at end,
        tags = case when payload ? 'tags' then excluded.tags else o.tags end,
        discount_codes = coalesce(excluded.discount_codes, o.discount_codes),
        referral_slug = coalesce(excluded.referral_slug, o.referral_slug)
    returning o.id into saved_order;
    return saved_order;
end
$$;

-- Units of a line that Shopify says were sent.
create function raw_ops.shopify_fulfilled_qty(line jsonb) returns integer
language sql immutable parallel safe
as $$
    select case line ->> 'fulfillment_status'
        when 'fulfilled' then (line ->> 'quantity')::integer
        when 'partial' then greatest((line ->> 'quantity')::integer - coalesce((line ->> 'fulfillable_quantity')::integer, 0), 0)
        else 0
    end
$$;

-- The lines of a document that count, with their quantities.
--
-- Of a line that was edited or refunded current_quantity is what is left, and nothing left counts as gone; what was
-- sent stays. An order that is first seen when it has ended is kept as it was sold.
create function raw_ops.shopify_live_lines(payload jsonb, ended boolean)
returns table (line jsonb, line_id text, qty integer, fulfilled integer)
language sql immutable parallel safe
as $$
    select l.line, l.line ->> 'id', l.qty, l.fulfilled
    from (
        select e as line, f as fulfilled, case when ended then (e ->> 'quantity')::integer else
            greatest(coalesce((e ->> 'current_quantity')::integer, (e ->> 'quantity')::integer), f) end as qty
        from jsonb_array_elements(raw_ops.shopify_list(payload, 'line_items')) e,
            raw_ops.shopify_fulfilled_qty(e) f
    ) l
    where l.qty > 0
$$;

-- Writes the order's lines and removes those that are gone and were not sent. Lines without Shopify's id are
-- somebody else's and stay.
create function raw_ops.save_shopify_items(payload jsonb, saved_order uuid, ended boolean) returns void
language plpgsql
as $$
declare
    pounds boolean := upper(payload ->> 'currency') = 'GBP';
    taken text;
begin
    insert into raw_ops.order_items as i (
        order_id, product_id, qty, quantity, fulfilled_qty, unit_price_ex_vat, unit_price_gbp,
        shopify_line_item_id, shopify_product_id, sku, product_name, pet_number, pet_name, daily_grams, life_stage
    )
    select
        saved_order, p.id, l.qty, l.qty, l.fulfilled, u.price, case when pounds then u.price end,
        l.line_id, l.line ->> 'product_id', raw_ops.shopify_text(l.line, 'sku'),
        coalesce(raw_ops.shopify_text(l.line, 'title'), raw_ops.shopify_text(l.line, 'name')),
        raw_ops.whole_number(raw_ops.shopify_named_value(l.line -> 'properties', 'pet_number')),
        raw_ops.shopify_named_value(l.line -> 'properties', 'pet_name'),
        raw_ops.whole_number(raw_ops.shopify_named_value(l.line -> 'properties', 'daily_grams')),
        raw_ops.shopify_named_value(l.line -> 'properties', 'life_stage')
    from raw_ops.shopify_live_lines(payload, ended) l
    cross join raw_ops.shopify_unit_price_ex_vat(l.line, payload) u (price)
    left join raw_ops.products p on p.sku = raw_ops.shopify_text(l.line, 'sku')
    order by l.line_id
    on conflict (shopify_line_item_id) do update set
        product_id = coalesce(excluded.product_id, i.product_id),
        qty = excluded.qty,
        quantity = excluded.quantity,
        fulfilled_qty = greatest(i.fulfilled_qty, excluded.fulfilled_qty),
        unit_price_ex_vat = excluded.unit_price_ex_vat,
        unit_price_gbp = excluded.unit_price_gbp,
        shopify_product_id = excluded.shopify_product_id,
        sku = excluded.sku,
        product_name = excluded.product_name,
        pet_number = coalesce(excluded.pet_number, i.pet_number),
        pet_name = coalesce(excluded.pet_name, i.pet_name),
        daily_grams = coalesce(excluded.daily_grams, i.daily_grams),
        life_stage = coalesce(excluded.life_stage, i.life_stage)
    where i.order_id = excluded.order_id;

    select l.line_id into taken
    from raw_ops.shopify_live_lines(payload, ended) l
    join raw_ops.order_items i on i.shopify_line_item_id = l.line_id and i.order_id <> saved_order
    limit 1;
    if taken is not null then
        raise exception 'line item % belongs to another order', taken using errcode = '23514';
    end if;

    delete from raw_ops.order_items i
    where i.order_id = saved_order and i.shopify_line_item_id is not null and i.fulfilled_qty = 0
      and not exists (
          select from raw_ops.shopify_live_lines(payload, ended) l where l.line_id = i.shopify_line_item_id
      );
end
$$;

-- Whether the document's lines differ from those of the order.
create function raw_ops.shopify_items_differ(payload jsonb, saved_order uuid) returns boolean
language sql stable
as $$
    select exists (
        select from raw_ops.shopify_live_lines(payload, false) l
        full join (select * from raw_ops.order_items
                   where order_id = saved_order and shopify_line_item_id is not null) i
            on i.shopify_line_item_id = l.line_id
        where i.qty is distinct from l.qty
    )
$$;
