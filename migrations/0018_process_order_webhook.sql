-- One Shopify order document becomes customer, order, lines and an allocation request, in one transaction.
--
-- process_order_webhook_txn is the entry; the functions before it are its steps. A document is a snapshot with an
-- age (updated_at): documents may come twice, late and in any order, and the newest wins.
-- Locks: creates new objects; share-row-exclusive on orders for the trigger. At run time: the inbox row, an advisory
-- lock on the Shopify order, then one customer row, the order and its lines, always in that sequence; so two
-- documents of one order take turns and none can deadlock with another.

-- Says once per order and kind what happened to it.
create function raw_ops.log_order_once(
    saved_order uuid, kind text, message text, source_system text default null, source_id uuid default null
) returns void
language sql
as $$
    select raw_ops.log_event('ORDER', saved_order, $2, $3, null, $4, $5)
    where not exists (select from raw_ops.ops_events e where e.entity_id = saved_order and e.kind = $2)
$$;

-- Takes over the lines as long as no stock was given and the order has not ended; later only what was sent, and a
-- change is told to a person.
create function raw_ops.settle_shopify_items(
    payload jsonb, old raw_ops.orders, saved_order uuid, new_status raw_ops.order_status, inbox_id uuid
) returns void
language plpgsql
as $$
begin
    if old.id is null or old.status in ('PENDING', 'PAID') then
        perform raw_ops.save_shopify_items(payload, saved_order, new_status in ('CANCELLED', 'REFUNDED'));
        return;
    end if;
    update raw_ops.order_items i set fulfilled_qty = l.fulfilled
    from raw_ops.shopify_live_lines(payload, true) l
    where i.order_id = saved_order and i.shopify_line_item_id = l.line_id and l.fulfilled > i.fulfilled_qty;
    if new_status not in ('CANCELLED', 'REFUNDED') and raw_ops.shopify_items_differ(payload, saved_order) then
        perform raw_ops.log_order_once(saved_order, 'order_changed_late', format(
            'Shopify changed the lines of order %s when it was %s already; they were left as they are',
            payload ->> 'name', new_status), 'shopify', inbox_id);
    end if;
end
$$;

-- Asks for stock once an order is paid, and takes the request back when it ended.
create function raw_ops.request_allocation(paid_order uuid, new_status raw_ops.order_status) returns void
language plpgsql
as $$
begin
    if new_status in ('CANCELLED', 'REFUNDED') then
        update raw_ops.allocation_queue q set state = 'cancelled', completed_at = engine.now()
        where q.order_id = paid_order and q.state = 'pending';
    elsif new_status = 'PAID' then
        insert into raw_ops.allocation_queue (order_id, created_at)
        select paid_order, engine.now()
        where not exists (select from raw_ops.allocation_queue q where q.order_id = paid_order);
        -- Also when the request waits already: it costs nothing, and a job that was lost sight of comes back.
        perform engine.enqueue('allocation.allocate_order', jsonb_build_object('order_id', paid_order),
            queue => 'allocation', unique_key => 'order:' || paid_order)
        where exists (select from raw_ops.allocation_queue q where q.order_id = paid_order and q.state = 'pending');
    end if;
end
$$;

-- An order that is inserted as paid, by whatever program, asks for stock in the same transaction. Nothing is
-- allocated here: the order's lines come after it.
create function raw_ops.allocate_order_to_batches() returns trigger
language plpgsql
as $$
begin
    perform raw_ops.request_allocation(new.id, new.status);
    return null;
end
$$;

create trigger trg_allocate_on_order
after insert on raw_ops.orders
for each row when (new.status = 'PAID')
execute function raw_ops.allocate_order_to_batches();

-- The refusals that keep a document of another kind from being taken for an order. jobs/orders/shopify_order.rs
-- says precisely what is wrong before it comes here.
create function raw_ops.check_shopify_order(topic text, payload jsonb) returns void
language plpgsql immutable
as $$
begin
    if topic not like 'orders/%' then
        raise exception 'topic % is not about an order', topic using errcode = '22023';
    end if;
    if jsonb_typeof(payload) <> 'object' or jsonb_typeof(payload -> 'line_items') is distinct from 'array'
        or raw_ops.shopify_text(payload, 'id') is null or raw_ops.shopify_text(payload, 'currency') is null
        or raw_ops.shopify_text(payload, 'total_price') is null or raw_ops.shopify_text(payload, 'subtotal_price') is null
        or coalesce(raw_ops.shopify_text(payload, 'updated_at'), raw_ops.shopify_text(payload, 'created_at')) is null
    then
        raise exception 'the payload is not a Shopify order: id, currency, total_price, subtotal_price, line_items or updated_at is missing'
            using errcode = '22023';
    end if;
    if exists (select from jsonb_array_elements(payload -> 'line_items') l where raw_ops.shopify_text(l, 'id') is null) then
        raise exception 'a line item has no id: it could not be recognised when the order changes' using errcode = '22023';
    end if;
end
$$;

-- Writes what a document that is news says, and returns the order's id.
create function raw_ops.apply_shopify_order(
    inbox raw_ops.webhook_inbox, updated_at timestamptz, old raw_ops.orders, wanted raw_ops.order_status
) returns uuid
language plpgsql
as $$
declare
    payload jsonb := inbox.raw_payload;
    new_status raw_ops.order_status := raw_ops.next_order_status(old.status, wanted);
    customer uuid := raw_ops.shopify_customer_id(payload, inbox.id);
    saved_order uuid;
begin
    perform raw_ops.save_shopify_customer(customer, payload);
    saved_order := raw_ops.save_shopify_order(payload, updated_at, customer, new_status);
    perform raw_ops.settle_shopify_items(payload, old, saved_order, new_status, inbox.id);
    perform raw_ops.request_allocation(saved_order, new_status);
    if wanted in ('CANCELLED', 'REFUNDED') and new_status in ('EXPORTED', 'DISPATCHED') then
        perform raw_ops.log_order_once(saved_order, 'order_ended_late', format(
            'Shopify says order %s is %s, but it is %s already: stop it at the packer or expect it back',
            payload ->> 'name', wanted, new_status), 'shopify', inbox.id);
    end if;
    perform raw_ops.log_event('ORDER', saved_order, case when old.id is null then 'order_created' else 'order_updated' end,
        format('Order %s from Shopify: %s, %s %s', payload ->> 'name', new_status, payload ->> 'total_price', payload ->> 'currency'),
        jsonb_build_object('inbox_id', inbox.id, 'topic', inbox.topic, 'shopify_order_id', payload ->> 'id',
            'financial_status', payload -> 'financial_status', 'test', payload -> 'test',
            'status_before', old.status, 'status', new_status),
        'shopify', inbox.id);
    return saved_order;
end
$$;

-- Processes the Shopify order that lies in the inbox under `inbox_id`.
--
-- Returns the order, and `created`, `updated`, or `stale` when the document is no news: older than what is known, or
-- as old without moving the order on (paid within the second of its creation is news). A stale document changes
-- nothing. The inbox row is marked in the same transaction. Errors: P0002 when there is no such row, class 22
-- and 23 when the document is no sound order, 40001 when a concurrent writer won: run again.
create function raw_ops.process_order_webhook_txn(inbox_id uuid)
returns table (order_id uuid, outcome text)
language plpgsql
as $$
declare
    began timestamptz := clock_timestamp();  -- Elapsed work, not a date: the real clock even under a test clock.
    inbox raw_ops.webhook_inbox;
    old raw_ops.orders;
    updated_at timestamptz;
    wanted raw_ops.order_status;
begin
    select * into inbox from raw_ops.webhook_inbox w where w.id = $1 for update;
    if not found then
        raise exception 'webhook % is not in the inbox', $1 using errcode = 'P0002';
    end if;
    perform raw_ops.check_shopify_order(inbox.topic, inbox.raw_payload);
    updated_at := coalesce(raw_ops.shopify_text(inbox.raw_payload, 'updated_at'), inbox.raw_payload ->> 'created_at')::timestamptz;

    perform pg_advisory_xact_lock(hashtextextended('raw_ops.shopify_order:' || (inbox.raw_payload ->> 'id'), 0));
    select * into old from raw_ops.orders o where o.shopify_order_id = inbox.raw_payload ->> 'id' for update;

    wanted := raw_ops.shopify_order_status(inbox.raw_payload);
    if wanted = 'PAID' and inbox.raw_payload ->> 'test' = 'true' and not exists (
        select from raw_ops.system_config c where c.key = 'orders.ship_test_orders' and c.value = 'true'
    ) then
        wanted := 'PENDING';
    end if;

    if old.id is null then
        outcome := 'created';
    elsif updated_at < old.updated_at_shopify
        or (updated_at = old.updated_at_shopify and raw_ops.next_order_status(old.status, wanted) = old.status) then
        outcome := 'stale';
    else
        outcome := 'updated';
    end if;
    order_id := case when outcome = 'stale' then old.id else raw_ops.apply_shopify_order(inbox, updated_at, old, wanted) end;

    update raw_ops.webhook_inbox w
    set processing_status = 'success', processed_at = engine.now(), updated_at = engine.now(),
        processing_attempts = w.processing_attempts + 1, last_error = null, error_category = null,
        shopify_order_id = (inbox.raw_payload ->> 'id')::bigint,
        shopify_order_number = coalesce(inbox.raw_payload ->> 'order_number', w.shopify_order_number),
        processing_duration_ms = extract(milliseconds from clock_timestamp() - began),
        processing_time_ms = extract(milliseconds from clock_timestamp() - began)
    where w.id = inbox.id;
    return next;
end
$$;
