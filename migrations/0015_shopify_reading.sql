-- How a Shopify order document is read: text, status, money. Pure functions, no table is touched.
--
-- Money. Shopify's plain fields (price, subtotal_price, total_tax, total_price) are in the shop's currency, as is
-- `currency`; what the buyer saw in another currency is not used. Of an order:
--   total_inc_vat   = total_price: as sold. Later refunds are rows of `refunds`, not a smaller order.
--   vat             = total_tax: what Shopify charged, that of shipping included.
--   subtotal_ex_vat = subtotal_price (goods after discounts), less the goods' VAT where prices include it.
-- So total - subtotal - vat is the shipping without VAT. An explicit zero is believed: an order to a place outside
-- VAT has none. Only when Shopify says nothing about tax (no total_tax, no tax lines) and prices include it, VAT is
-- taken out of the taxable lines and the shipping at the standard rate.
-- Of a line, unit_price_ex_vat is its list price before discounts: `price`, divided by 1 + rate where prices
-- include VAT, rounded half up to the penny. Sums are never made of it.
-- Locks: creates new objects only.

create function raw_ops.vat_standard_rate() returns numeric
language sql immutable parallel safe
as 'select 0.20';
comment on function raw_ops.vat_standard_rate is 'UK VAT on pet food.';

-- A text field; blank counts as none.
create function raw_ops.shopify_text(doc jsonb, field text) returns text
language sql immutable parallel safe
as $$ select nullif(btrim(doc ->> field), '') $$;

-- An array field; what is no array (absent, null, an object) counts as empty.
create function raw_ops.shopify_list(doc jsonb, field text) returns jsonb
language sql immutable parallel safe
as $$ select case when jsonb_typeof(doc -> field) = 'array' then doc -> field else '[]' end $$;

-- An object field; what is no object counts as null.
create function raw_ops.shopify_object(doc jsonb, field text) returns jsonb
language sql immutable parallel safe
as $$ select case when jsonb_typeof(doc -> field) = 'object' then doc -> field end $$;

-- The value under a name of a line's `properties` or an order's `note_attributes`.
--
-- They are [{name, value}] as a rule, an object at times, and absent. Names are compared without regard to case,
-- spaces and a leading underscore (which hides a property in the shop's theme).
create function raw_ops.shopify_named_value(pairs jsonb, wanted text) returns text
language sql immutable parallel safe
as $$
    select nullif(btrim(p.value), '')
    from (
        select e ->> 'name' as name, e ->> 'value' as value
        from jsonb_array_elements(case when jsonb_typeof(pairs) = 'array' then pairs else '[]' end) e
        where jsonb_typeof(e) = 'object'
        union all
        select key, value
        from jsonb_each_text(case when jsonb_typeof(pairs) = 'object' then pairs else '{}' end)
    ) p
    where trim(leading '_' from regexp_replace(lower(p.name), '[^a-z0-9]+', '_', 'g')) = wanted
    limit 1
$$;

-- A whole number written as text, else null: a line's properties are free text that customers can reach.
create function raw_ops.whole_number(written text) returns integer
language sql immutable parallel safe
as $$ select case when written ~ '^[0-9]{1,9}$' then written::integer end $$;

-- Where an order stands by Shopify's word alone.
--
-- PAID needs financial_status `paid`; `authorized`, `partially_paid` and `partially_refunded` prove no full payment.
create function raw_ops.shopify_order_status(payload jsonb) returns raw_ops.order_status
language sql immutable parallel safe
as $$
    select case
        when raw_ops.shopify_text(payload, 'cancelled_at') is not null then 'CANCELLED'
        when payload ->> 'financial_status' = 'voided' then 'CANCELLED'
        when payload ->> 'financial_status' = 'refunded' then 'REFUNDED'
        when payload ->> 'financial_status' = 'paid' then 'PAID'
        else 'PENDING'
    end::raw_ops.order_status
$$;

-- Where an order goes from where it stands when Shopify says `wanted`.
--
-- Our own progress is never thrown back, an end stays an end, and what has left for the packer is not called back
-- by a status: a person must stop it (the caller writes an event).
create function raw_ops.next_order_status(current raw_ops.order_status, wanted raw_ops.order_status)
returns raw_ops.order_status
language sql immutable parallel safe
as $$
    select case
        when current is null then wanted
        when wanted = 'PAID' and current = 'PENDING' then wanted
        when wanted = 'CANCELLED' and current in ('PENDING', 'PAID', 'PARTIALLY_ALLOCATED', 'ALLOCATED', 'REFUNDED')
            then wanted
        when wanted = 'REFUNDED' and current in ('PENDING', 'PAID', 'PARTIALLY_ALLOCATED', 'ALLOCATED') then wanted
        else current
    end
$$;

-- What a list of tax lines comes to.
create function raw_ops.shopify_tax(tax_lines jsonb) returns numeric
language sql immutable parallel safe
as $$ select coalesce(sum((t ->> 'price')::numeric), 0) from jsonb_array_elements(tax_lines) t $$;

-- What a line costs after its discounts.
create function raw_ops.shopify_line_net(line jsonb) returns numeric
language sql immutable parallel safe
as $$
    select (line ->> 'price')::numeric * (line ->> 'quantity')::integer - greatest(
        (select coalesce(sum((d ->> 'amount')::numeric), 0)
         from jsonb_array_elements(raw_ops.shopify_list(line, 'discount_allocations')) d),
        coalesce((line ->> 'total_discount')::numeric, 0)
    )
$$;

-- Whether Shopify says anything about tax in this order.
create function raw_ops.shopify_names_tax(payload jsonb) returns boolean
language sql immutable parallel safe
as $$
    select raw_ops.shopify_text(payload, 'total_tax') is not null
        or raw_ops.shopify_list(payload, 'tax_lines') <> '[]'
        or exists (
            select from jsonb_array_elements(raw_ops.shopify_list(payload, 'line_items')) l
            where raw_ops.shopify_list(l, 'tax_lines') <> '[]'
        )
$$;

-- The VAT rate inside a line's price, for orders whose prices include VAT.
--
-- The rates of its tax lines count where tax was charged, or where a full discount left nothing to tax. Without tax
-- lines it is 0 when Shopify names tax elsewhere in the order, else the standard rate; an untaxed line and a
-- gift card (a means of payment) have none.
create function raw_ops.shopify_line_vat_rate(line jsonb, payload jsonb) returns numeric
language sql immutable parallel safe
as $$
    select case
        when line ->> 'taxable' = 'false' or line ->> 'gift_card' = 'true' then 0
        when raw_ops.shopify_list(line, 'tax_lines') <> '[]' then (
            select coalesce(sum((t ->> 'rate')::numeric), 0)
            from jsonb_array_elements(raw_ops.shopify_list(line, 'tax_lines')) t
            where (t ->> 'price')::numeric > 0 or raw_ops.shopify_line_net(line) = 0
        )
        when raw_ops.shopify_names_tax(payload) then 0
        else raw_ops.vat_standard_rate()
    end
$$;

-- The list price of one unit of a line without VAT.
create function raw_ops.shopify_unit_price_ex_vat(line jsonb, payload jsonb) returns numeric
language sql immutable parallel safe
as $$
    select case when payload ->> 'taxes_included' = 'true'
        then round((line ->> 'price')::numeric / (1 + raw_ops.shopify_line_vat_rate(line, payload)), 2)
        else (line ->> 'price')::numeric
    end
$$;

-- The money of an order, by the rule at the top of this file.
create function raw_ops.shopify_order_money(
    payload jsonb, out subtotal_ex_vat numeric, out vat numeric, out total_inc_vat numeric, out discount numeric
)
language plpgsql immutable parallel safe
as $$
declare
    lines jsonb := raw_ops.shopify_list(payload, 'line_items');
    shipping jsonb := raw_ops.shopify_list(payload, 'shipping_lines');
    included boolean := coalesce((payload ->> 'taxes_included')::boolean, false);
    inside numeric := raw_ops.vat_standard_rate() / (1 + raw_ops.vat_standard_rate());
    shipping_vat numeric;
begin
    select coalesce(sum(raw_ops.shopify_tax(raw_ops.shopify_list(s, 'tax_lines'))), 0) into shipping_vat
    from jsonb_array_elements(shipping) s;

    if raw_ops.shopify_text(payload, 'total_tax') is not null then
        vat := (payload ->> 'total_tax')::numeric;
    elsif raw_ops.shopify_list(payload, 'tax_lines') <> '[]' then
        vat := raw_ops.shopify_tax(payload -> 'tax_lines');
    elsif included and not raw_ops.shopify_names_tax(payload) then
        select round(coalesce(sum(coalesce((s ->> 'discounted_price')::numeric, (s ->> 'price')::numeric)), 0) * inside, 2)
        into shipping_vat from jsonb_array_elements(shipping) s;
        select shipping_vat + round(coalesce(sum(raw_ops.shopify_line_net(l)), 0) * inside, 2) into vat
        from jsonb_array_elements(lines) l where raw_ops.shopify_line_vat_rate(l, payload) > 0;
    else
        select shipping_vat + coalesce(sum(raw_ops.shopify_tax(raw_ops.shopify_list(l, 'tax_lines'))), 0) into vat
        from jsonb_array_elements(lines) l;
    end if;

    total_inc_vat := (payload ->> 'total_price')::numeric;
    discount := (payload ->> 'total_discounts')::numeric;
    subtotal_ex_vat := (payload ->> 'subtotal_price')::numeric - case when included then vat - shipping_vat else 0 end;
end
$$;

-- The campaign an order came from: utm_* of its note attributes, else of the page the visit began on, as written
-- in the address (not decoded). Null when there is none.
create function raw_ops.shopify_utm(payload jsonb) returns jsonb
language sql immutable parallel safe
as $$
    select coalesce(
        (select jsonb_object_agg(lower(e ->> 'name'), e ->> 'value')
         from jsonb_array_elements(raw_ops.shopify_list(payload, 'note_attributes')) e
         where e ->> 'name' ilike 'utm\_%'),
        (select jsonb_object_agg(lower(m[1]), m[2])
         from regexp_matches(payload ->> 'landing_site', '[?&](utm_[a-z_]+)=([^&#]*)', 'gi') m)
    )
$$;

-- An order's tags: one string, separated by commas.
create function raw_ops.shopify_tags(payload jsonb) returns text[]
language sql immutable parallel safe
as $$
    select array_agg(btrim(t)) filter (where btrim(t) <> '')
    from unnest(string_to_array(payload ->> 'tags', ',')) t
$$;
