-- Whether Shopify is still to be told of a customer's address is asked once an order, not once a column.
-- Locks: none.

-- As 0165.
create or replace function raw_ops.save_shopify_customer(customer uuid, payload jsonb) returns void
language plpgsql  -- As sql it would be planned anew at each call, which takes longer than it runs.
as $$
declare
    -- Asked once: in the statement below it would be asked for each column.
    is_ours boolean := raw_ops.awaits_address_sync(customer);
begin
    perform set_config('rawops.address_source', 'shopify', true);
    update raw_ops.customers c
    set first_name = coalesce(n.first_name, c.first_name),
        last_name = coalesce(n.last_name, c.last_name),
        phone = coalesce(n.phone, c.phone),
        marketing_opt_in = c.marketing_opt_in and n.agreed is distinct from false,
        address_json = coalesce(n.address, c.address_json),
        address1 = case when n.address is null then c.address1 else raw_ops.shopify_text(n.address, 'address1') end,
        address2 = case when n.address is null then c.address2 else raw_ops.shopify_text(n.address, 'address2') end,
        city = case when n.address is null then c.city else raw_ops.shopify_text(n.address, 'city') end,
        region = case when n.address is null then c.region else raw_ops.shopify_text(n.address, 'province') end,
        postcode = case when n.address is null then c.postcode else raw_ops.shopify_text(n.address, 'zip') end,
        country_code = case when n.address is null then c.country_code
                            else raw_ops.shopify_text(n.address, 'country_code') end
    from (
        select
            coalesce(raw_ops.shopify_text(d.person, 'first_name'), raw_ops.shopify_text(d.ship_to, 'first_name')) as first_name,
            coalesce(raw_ops.shopify_text(d.person, 'last_name'), raw_ops.shopify_text(d.ship_to, 'last_name')) as last_name,
            coalesce(raw_ops.shopify_text(d.person, 'phone'), raw_ops.shopify_text(payload, 'phone')) as phone,
            raw_ops.shopify_marketing(d.person) as agreed,
            case when not is_ours then coalesce(raw_ops.shopify_object(d.person, 'default_address'),
                case when k.address_json is null then d.ship_to end) end as address
        from raw_ops.customers k,
            (select raw_ops.shopify_object(payload, 'customer') as person,
                    raw_ops.shopify_object(payload, 'shipping_address') as ship_to) d
        where k.id = customer
    ) n
    where c.id = customer
      and (c.updated_at_shopify is null or c.updated_at_shopify <= coalesce(raw_ops.shopify_text(payload, 'updated_at'),
          raw_ops.shopify_text(payload, 'created_at'))::timestamptz);
    perform set_config('rawops.address_source', '', true);
end
$$;
