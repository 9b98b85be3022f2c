-- The customer of a Shopify order document, and the event log that the pipelines write to.
--
-- Locks: creates new objects only. At run time: one customer row.

-- Writes one row of the operational log.
create function raw_ops.log_event(
    entity_type text, entity_id uuid, kind text, message text, meta jsonb, source_system text, source_id uuid
) returns void
language sql
as $$
    insert into raw_ops.ops_events (entity_type, entity_id, kind, message, created_at, meta, source_system, source_id)
    values ($1, $2, $3, $4, engine.now(), jsonb_strip_nulls($5), $6, $7)
$$;

-- Says once per pair of customers that one document names both.
create function raw_ops.log_customer_conflict(kept uuid, other uuid, why text, inbox_id uuid) returns void
language sql
as $$
    select raw_ops.log_event('CUSTOMER', kept, 'customer_conflict', why,
        jsonb_build_object('customer_id', kept, 'other_customer_id', other), 'shopify', inbox_id)
    where not exists (
        select from raw_ops.ops_events e
        where e.entity_id = kept and e.kind = 'customer_conflict' and e.meta ->> 'other_customer_id' = other::text
    )
$$;

-- Whether a customer agreed to marketing. Null when the document does not say.
create function raw_ops.shopify_marketing(person jsonb) returns boolean
language sql immutable parallel safe
as $$
    select coalesce(
        (person -> 'email_marketing_consent' ->> 'state') = 'subscribed',
        (person ->> 'accepts_marketing')::boolean
    )
$$;

-- The customer a document belongs to, made when there is none; null for a guest without an e-mail address.
--
-- Matched by Shopify's id, then by e-mail. Two rows are never merged and an address is never taken from another
-- row: such a conflict is an event for a person, and the row matched by id keeps the order.
create function raw_ops.shopify_customer_id(payload jsonb, inbox_id uuid) returns uuid
language plpgsql
as $$
declare
    person jsonb := raw_ops.shopify_object(payload, 'customer');
    shopify_id text := raw_ops.shopify_text(person, 'id');
    mail citext := coalesce(raw_ops.shopify_text(person, 'email'), raw_ops.shopify_text(payload, 'email'),
                            raw_ops.shopify_text(payload, 'contact_email'));
    same_id raw_ops.customers;
    same_mail raw_ops.customers;
    made uuid;
begin
    if shopify_id is null and mail is null then
        return null;
    end if;
    select * into same_id from raw_ops.customers c where c.shopify_customer_id = shopify_id;
    select * into same_mail from raw_ops.customers c where c.email = mail;

    if same_id.id is not null then
        if same_mail.id is null then
            update raw_ops.customers c set email = mail where c.id = same_id.id and mail is not null;
        elsif same_mail.id <> same_id.id then
            perform raw_ops.log_customer_conflict(same_id.id, same_mail.id,
                'The e-mail address of this customer belongs to another one', inbox_id);
        end if;
        return same_id.id;
    end if;

    if same_mail.id is not null and (shopify_id is null or same_mail.shopify_customer_id is null) then
        update raw_ops.customers c set shopify_customer_id = shopify_id
        where c.id = same_mail.id and shopify_id is not null;
        return same_mail.id;
    end if;

    insert into raw_ops.customers (shopify_customer_id, email, marketing_opt_in, created_at)
    values (shopify_id, case when same_mail.id is null then mail end, raw_ops.shopify_marketing(person), engine.now())
    returning id into made;
    if same_mail.id is not null then
        perform raw_ops.log_customer_conflict(made, same_mail.id,
            'Two Shopify customers have one e-mail address; this one was kept without it', inbox_id);
    end if;
    return made;
exception when unique_violation then
    raise exception 'another transaction took this customer''s id or e-mail address: try again' using errcode = '40001';
end
$$;

-- Takes over what a document knows about its customer. What it does not say is left as it is.
--
-- The default address wins; a shipping address only fills an empty one. Consent can be taken away here but not
-- given: an order may be late, and the word for consent is `customers/update`.
create function raw_ops.save_shopify_customer(customer uuid, payload jsonb) returns void
language plpgsql  -- As sql it would be planned anew at each call, which takes longer than it runs.
as $$
begin
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
            coalesce(raw_ops.shopify_object(d.person, 'default_address'),
                     case when k.address_json is null then d.ship_to end) as address
        from raw_ops.customers k,
            (select raw_ops.shopify_object(payload, 'customer') as person,
                    raw_ops.shopify_object(payload, 'shipping_address') as ship_to) d
        where k.id = customer
    ) n
    where c.id = customer;
end
$$;
