-- What customers ask by law, as Shopify hands it on: to see what is kept of them, and to have it erased.
--
-- Nothing is erased by a webhook: what an invoice needs is kept by law, and a wrong erasure cannot be taken back. The request
-- is written down with its date, people are told at once, and again in the last week if it is still open.
-- Locks: creates new objects; share row exclusive on raw_ops.customers for the foreign key, for a moment.

create table raw_ops.privacy_requests (
    id                  uuid primary key default gen_random_uuid(),
    topic               text not null check (topic in ('customers/data_request', 'customers/redact', 'shop/redact')),
    inbox_id            uuid not null unique,
    customer_id         uuid references raw_ops.customers,
    shopify_customer_id text,
    shopify_order_ids   text[] not null default '{}',
    received_at         timestamptz not null default now(),
    due_at              timestamptz not null,
    closed_at           timestamptz,
    closed_by           text,
    answer              text,
    constraint privacy_requests_closed check ((closed_at is null) = (closed_by is null))
);
comment on table raw_ops.privacy_requests is 'Requests of customers to see or erase what is kept of them';
comment on column raw_ops.privacy_requests.inbox_id is 'Its webhook, which may be forgotten before the request.';
comment on column raw_ops.privacy_requests.due_at is 'Thirty days after it came, by law.';
comment on column raw_ops.privacy_requests.shopify_order_ids is 'The orders that the request names.';
create index privacy_requests_open on raw_ops.privacy_requests (due_at) where closed_at is null;
create index privacy_requests_customer on raw_ops.privacy_requests (customer_id) where customer_id is not null;

-- What a person does about a request, in words for the alert.
create function raw_ops.privacy_task(topic text) returns text
language sql immutable parallel safe
as $$
    select case topic
        when 'customers/data_request' then 'A customer asks for what is kept of them: send it to the customer'
        when 'customers/redact' then 'A customer asks to be erased: erase what no law keeps'
        else 'Shopify asks to erase the whole shop: somebody has removed the app'
    end
$$;

-- Writes down the request that lies in the inbox under `inbox_id`, tells people, and has them reminded.
--
-- Returns the request. Errors: P0002 when there is no such row, 22023 when the topic is no request.
create function raw_ops.process_privacy_webhook_txn(inbox_id uuid) returns uuid
language plpgsql
as $$
#variable_conflict use_column
declare
    began timestamptz := clock_timestamp();  -- Elapsed work, not a date: the real clock even under a test clock.
    inbox raw_ops.webhook_inbox;
    person jsonb;
    made raw_ops.privacy_requests;
begin
    select * into inbox from raw_ops.webhook_inbox w where w.id = $1 for update;
    if not found then
        raise exception 'webhook % is not in the inbox', $1 using errcode = 'P0002';
    elsif raw_ops.webhook_kind(inbox.source, inbox.topic) is distinct from 'customers.handle_privacy_request' then
        raise exception 'a webhook of topic % asks for nothing', inbox.topic using errcode = '22023';
    end if;
    person := raw_ops.shopify_object(inbox.raw_payload, 'customer');
    insert into raw_ops.privacy_requests (topic, inbox_id, customer_id, shopify_customer_id, shopify_order_ids, received_at, due_at)
    select inbox.topic, inbox.id, (select c.id from raw_ops.customers c where c.shopify_customer_id = raw_ops.shopify_text(person, 'id')),
        raw_ops.shopify_text(person, 'id'), array(select jsonb_array_elements_text(case inbox.topic when 'customers/redact'
            then raw_ops.shopify_list(inbox.raw_payload, 'orders_to_redact') else raw_ops.shopify_list(inbox.raw_payload, 'orders_requested') end)),
        inbox.received_at, inbox.received_at + interval '30 days'
    on conflict (inbox_id) do nothing
    returning * into made;
    if made.id is null then
        select * into made from raw_ops.privacy_requests p where p.inbox_id = inbox.id;
        perform raw_ops.settle_webhook(inbox.id, began);
        return made.id;
    end if;
    perform from raw_ops.raise_alert(case inbox.topic when 'shop/redact' then 'critical' else 'warning' end, raw_ops.privacy_task(inbox.topic),
        format('By law it is due on %s.', to_char(made.due_at at time zone 'Europe/London', 'FMDD FMMonth YYYY')),
        jsonb_build_array(jsonb_build_object('label', 'Request', 'value', made.id, 'inline', true)),
        key => 'privacy request ' || made.id, source_check => 'webhooks');
    perform engine.enqueue('customers.remind_of_privacy_request', jsonb_build_object('request_id', made.id),
        queue => 'customers', unique_key => made.id::text, run_at => made.due_at - interval '7 days');
    perform raw_ops.settle_webhook(inbox.id, began);
    return made.id;
end
$$;

-- Tells people of a request that is still open. Returns whether it is.
create function raw_ops.remind_of_privacy_request(request_id uuid) returns boolean
language plpgsql
as $$
declare
    open raw_ops.privacy_requests;
begin
    select * into open from raw_ops.privacy_requests p where p.id = request_id and p.closed_at is null;
    if open.id is null then
        return false;
    end if;
    perform from raw_ops.raise_alert('critical', raw_ops.privacy_task(open.topic),
        format('It is still open, and by law it is due on %s.', to_char(open.due_at at time zone 'Europe/London', 'FMDD FMMonth YYYY')),
        jsonb_build_array(jsonb_build_object('label', 'Request', 'value', open.id, 'inline', true)),
        key => 'privacy request ' || open.id, source_check => 'webhooks');
    return true;
end
$$;

-- Writes down that a person has answered a request, and how. Returns whether it was open.
create function raw_ops.close_privacy_request(request_id uuid, who text, answer text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    update raw_ops.privacy_requests p
    set closed_at = engine.now(), closed_by = who, answer = close_privacy_request.answer
    where p.id = request_id and p.closed_at is null;
    return found;
end
$$;
revoke execute on function raw_ops.close_privacy_request(uuid, text, text) from public;
