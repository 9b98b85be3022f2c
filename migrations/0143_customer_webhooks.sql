-- Customers as Shopify's own customer documents say, and never older than what is known.
--
-- A customer document is whole: what it leaves out is left, what it says is null is taken away, and it alone gives consent to
-- marketing. An order's document says less, and nothing about a customer of whom a newer document is known.
-- Locks: access exclusive on raw_ops.customers for a moment. At run time: the inbox row, an advisory lock on the Shopify
-- customer, one customer row.

alter table raw_ops.customers add column updated_at_shopify timestamptz;
comment on column raw_ops.customers.updated_at_shopify is 'The age of the newest customer document; null while only orders told of the customer.';

-- As 0016, but an order that is older than the newest customer document changes nothing.
create or replace function raw_ops.save_shopify_customer(customer uuid, payload jsonb) returns void
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
    where c.id = customer
      and (c.updated_at_shopify is null or c.updated_at_shopify <= coalesce(raw_ops.shopify_text(payload, 'updated_at'),
          raw_ops.shopify_text(payload, 'created_at'))::timestamptz);
end
$$;

-- As 0016, but an order that is older than the newest customer document does not bring an old address for mail back.
create or replace function raw_ops.shopify_customer_id(payload jsonb, inbox_id uuid) returns uuid
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
            update raw_ops.customers c set email = mail
            where c.id = same_id.id and mail is not null
              and (c.updated_at_shopify is null or c.updated_at_shopify <= coalesce(raw_ops.shopify_text(payload, 'updated_at'),
                  raw_ops.shopify_text(payload, 'created_at'))::timestamptz);
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

-- Writes what a customer document that is news says of its customer.
create function raw_ops.apply_shopify_customer(customer uuid, payload jsonb, updated_at timestamptz) returns void
language plpgsql
as $$
declare
    -- Some documents name all addresses and no default: then there is none.
    address jsonb := raw_ops.shopify_object(payload, 'default_address');
    names_address boolean := payload ? 'default_address' or payload ? 'addresses';
begin
    update raw_ops.customers c
    set first_name = case when payload ? 'first_name' then raw_ops.shopify_text(payload, 'first_name') else c.first_name end,
        last_name = case when payload ? 'last_name' then raw_ops.shopify_text(payload, 'last_name') else c.last_name end,
        phone = case when payload ? 'phone' then raw_ops.shopify_text(payload, 'phone') else c.phone end,
        marketing_opt_in = coalesce(raw_ops.shopify_marketing(payload), c.marketing_opt_in),
        address_json = case when names_address then address else c.address_json end,
        address1 = case when names_address then raw_ops.shopify_text(address, 'address1') else c.address1 end,
        address2 = case when names_address then raw_ops.shopify_text(address, 'address2') else c.address2 end,
        city = case when names_address then raw_ops.shopify_text(address, 'city') else c.city end,
        region = case when names_address then raw_ops.shopify_text(address, 'province') else c.region end,
        postcode = case when names_address then raw_ops.shopify_text(address, 'zip') else c.postcode end,
        country_code = case when names_address then raw_ops.shopify_text(address, 'country_code') else c.country_code end,
        updated_at_shopify = apply_shopify_customer.updated_at
    where c.id = customer;
end
$$;

-- Processes the customer document that lies in the inbox under `inbox_id`.
--
-- Returns the customer, and `created`, `updated`, or `stale` when a newer document is known. A document without an age counts
-- as old as its webhook. Errors: P0002 when there is no such row, class 22 and 23 when the document is no sound customer,
-- 40001 when a concurrent writer won: run again.
create function raw_ops.process_customer_webhook_txn(inbox_id uuid) returns table (customer_id uuid, outcome text)
language plpgsql
as $$
declare
    began timestamptz := clock_timestamp();  -- Elapsed work, not a date: the real clock even under a test clock.
    inbox raw_ops.webhook_inbox;
    known raw_ops.customers;
    age timestamptz;
begin
    select * into inbox from raw_ops.webhook_inbox w where w.id = $1 for update;
    if not found then
        raise exception 'webhook % is not in the inbox', $1 using errcode = 'P0002';
    elsif raw_ops.shopify_text(inbox.raw_payload, 'id') is null then
        raise exception 'the payload is not a customer: id is missing' using errcode = '22023';
    end if;
    age := coalesce(raw_ops.shopify_text(inbox.raw_payload, 'updated_at')::timestamptz, inbox.triggered_at, inbox.received_at);
    perform pg_advisory_xact_lock(hashtextextended('raw_ops.shopify_customer:' || (inbox.raw_payload ->> 'id'), 0));
    select * into known from raw_ops.customers c where c.shopify_customer_id = inbox.raw_payload ->> 'id' for no key update;
    customer_id := known.id;
    if known.updated_at_shopify > age then
        outcome := 'stale';
    else
        customer_id := raw_ops.shopify_customer_id(
            jsonb_build_object('customer', inbox.raw_payload, 'updated_at', age), inbox.id);
        perform raw_ops.apply_shopify_customer(customer_id, inbox.raw_payload, age);
        outcome := case when known.id is null then 'created' else 'updated' end;
    end if;
    perform raw_ops.settle_webhook(inbox.id, began);
    return next;
end
$$;
