-- Refunds that Shopify tells of: the money in `refunds`, and the stock of what is not sent any more given back.
--
-- Locks: refunds against writing while the index is built. At run time: the inbox row, an advisory lock on the Shopify
-- order, the order, then products and batches, as 0018 and 0043.

create unique index refunds_shopify_refund_id on raw_ops.refunds (shopify_refund_id) where shopify_refund_id is not null;

-- The order that a document of another kind belongs to, its row held until commit; a null row when it is not there yet. The
-- advisory lock is the one that documents of the order itself take.
create function raw_ops.lock_shopify_order(shopify_id text) returns raw_ops.orders
language plpgsql
as $$
declare
    found_order raw_ops.orders;
begin
    perform pg_advisory_xact_lock(hashtextextended('raw_ops.shopify_order:' || shopify_id, 0));
    select * into found_order from raw_ops.orders o where o.shopify_order_id = shopify_id for update;
    return found_order;
end
$$;

-- What of a refund's lines is not to be sent any more: `cancel` is that by its name; the old `legacy_restock` where the refund
-- restocks. `return` was sent already, and `no_restock` gives money and leaves what is to be sent.
create function raw_ops.shopify_cancelled_lines(payload jsonb) returns table (line_id text, units integer, sold integer)
language sql immutable parallel safe
as $$
    select r ->> 'line_item_id', sum((r ->> 'quantity')::integer)::integer, max((r -> 'line_item' ->> 'quantity')::integer)
    from jsonb_array_elements(raw_ops.shopify_list(payload, 'refund_line_items')) r
    where r ->> 'restock_type' = 'cancel' or (r ->> 'restock_type' = 'legacy_restock' and payload ->> 'restock' = 'true')
    group by 1
$$;

-- The units of a line that refunds of its order took back: those that were processed before, and the one in hand.
create function raw_ops.cancelled_units(shopify_order bigint, wanted_line text, in_hand uuid) returns integer
language sql stable
as $$
    select coalesce(sum(l.units), 0)::integer
    from (
        select distinct on (i.raw_payload ->> 'id') i.raw_payload
        from raw_ops.webhook_inbox i
        where i.shopify_order_id = shopify_order and i.source = 'shopify' and i.topic = 'refunds/create'
          and (i.processing_status = 'success' or i.id = in_hand)
        order by i.raw_payload ->> 'id', i.received_at desc
    ) d
    cross join raw_ops.shopify_cancelled_lines(d.raw_payload) l
    where l.line_id = wanted_line
$$;

-- Gives back what a line holds beyond `keep` units that are not sent, of the batches that expire last first. Returns how many
-- units. The caller holds the order.
create function raw_ops.free_line(item uuid, item_order uuid, keep integer) returns integer
language plpgsql
as $$
declare
    products uuid[] := array(select distinct f.product_id from raw_ops.open_allocations(item_order) f);
    freed integer;
begin
    perform raw_ops.lock_products(products);
    perform from raw_ops.batches b
    where b.id in (select f.batch_id from raw_ops.open_allocations(item_order) f) order by b.id for no key update;

    with held as (
        select a.id, a.batch_id, a.qty_allocated,
            sum(a.qty_allocated) over (order by b.expiry_date nulls last, b.produced_at, b.id, a.created_at, a.id) as upto
        from raw_ops.open_allocations(item_order) f
        join raw_ops.allocations a on a.id = f.allocation_id
        join raw_ops.batches b on b.id = a.batch_id
        where a.order_item_id = item
    ),
    given as (
        select h.id, h.batch_id, h.qty_allocated, least(h.qty_allocated, h.upto - keep) as units from held h where h.upto > keep
    ),
    gone as (
        delete from raw_ops.allocations a using given g where a.id = g.id and g.units = g.qty_allocated
    ),
    cut as (
        update raw_ops.allocations a set qty_allocated = a.qty_allocated - g.units from given g
        where a.id = g.id and g.units < g.qty_allocated
    ),
    sums as (
        select g.batch_id, sum(g.units) as units from given g group by g.batch_id
    ),
    opened as (
        update raw_ops.batches b set qty_reserved = greatest(b.qty_reserved - s.units, 0) from sums s where b.id = s.batch_id
    )
    select coalesce(sum(s.units), 0) into freed from sums s;
    if freed > 0 then
        perform raw_ops.wake_waiting_orders(i.product_id) from raw_ops.order_items i where i.id = item and i.product_id is not null;
    end if;
    return freed;
end
$$;

-- Makes the lines of an order as small as its refunds leave them; what was sent stays. A line only ever shrinks, so it does not
-- matter whether the order's own document or the refund comes first. Returns the units given back.
create function raw_ops.shrink_refunded_lines(payload jsonb, refunded raw_ops.orders, inbox_id uuid) returns integer
language plpgsql
as $$
declare
    line record;
    freed integer := 0;
begin
    for line in
        select i.id, i.qty, n.sent, greatest(n.sent, least(i.qty, coalesce(c.sold, i.qty)
            - raw_ops.cancelled_units(refunded.shopify_order_id::bigint, c.line_id, inbox_id))) as left_over
        from raw_ops.shopify_cancelled_lines(payload) c
        join raw_ops.order_items i on i.shopify_line_item_id = c.line_id and i.order_id = refunded.id
        cross join lateral (
            select greatest(i.fulfilled_qty, coalesce(sum(a.qty_allocated), 0))::integer as sent
            from raw_ops.allocations a join raw_ops.stock_dispatches d on d.allocation_id = a.id
            where a.order_item_id = i.id
        ) n
        order by i.id
    loop
        continue when line.left_over >= line.qty;
        freed := freed + raw_ops.free_line(line.id, refunded.id, line.left_over - line.sent);
        if line.left_over > 0 then
            update raw_ops.order_items i set qty = line.left_over, quantity = line.left_over where i.id = line.id;
        else
            delete from raw_ops.order_items i where i.id = line.id;
        end if;
    end loop;
    -- What is left may be complete now: the allocator looks, and says so.
    if refunded.status in ('PAID', 'PARTIALLY_ALLOCATED') then
        perform raw_ops.enqueue_allocation(refunded.id)
        where exists (select from raw_ops.allocation_queue q where q.order_id = refunded.id and q.state = 'pending');
    end if;
    return freed;
end
$$;

-- Writes the money of a refund down. A refund of our own that Shopify was asked for is the row that is there already. Money
-- of another currency than pounds is told to a person. Returns the amount.
create function raw_ops.record_shopify_refund(payload jsonb, refunded raw_ops.orders, inbox_id uuid) returns numeric
language plpgsql
as $$
declare
    refund_id text := payload ->> 'id';
    made timestamptz := coalesce(raw_ops.shopify_text(payload, 'processed_at'), raw_ops.shopify_text(payload, 'created_at'))::timestamptz;
    amount numeric;
    currency text;
    own uuid;
begin
    select coalesce(sum((t ->> 'amount')::numeric), 0), upper(coalesce(min(t ->> 'currency'), refunded.currency)) into amount, currency
    from jsonb_array_elements(raw_ops.shopify_list(payload, 'transactions')) t
    where t ->> 'kind' = 'refund' and t ->> 'status' = 'success';
    if amount <= 0 then
        return 0;
    elsif currency <> 'GBP' then
        perform raw_ops.log_event('ORDER', refunded.id, 'refund_in_other_currency',
            format('Shopify refunded %s %s of order %s: enter it by hand', amount, currency, refunded.order_number_label),
            jsonb_build_object('shopify_refund_id', refund_id), 'shopify', inbox_id);
        perform from raw_ops.raise_alert('warning', 'A refund in another currency', format('Shopify refunded %s %s; enter it by hand.',
            amount, currency), key => 'refund in other currency ' || refund_id, source_check => 'webhooks');
        return 0;
    end if;
    select r.id into own from raw_ops.refunds r
    where r.shopify_refund_id = refund_id or (r.order_id = refunded.id and r.shopify_refund_id is null
        and r.status in ('approved', 'processing') and r.amount_gbp = amount)
    order by r.shopify_refund_id nulls last, r.created_at limit 1 for update;
    if own is not null then
        update raw_ops.refunds r
        set shopify_refund_id = refund_id, shopify_order_id = refunded.shopify_order_id, status = 'processed', amount_gbp = amount,
            processed_at = coalesce(r.processed_at, made), shopify_synced = true, shopify_synced_at = engine.now(), shopify_error = null
        where r.id = own;
        return amount;
    end if;
    insert into raw_ops.refunds (created_at, order_id, customer_id, shopify_refund_id, amount_gbp, refund_type, reason, processed_by,
        processed_at, status, shopify_order_id, shopify_synced, shopify_synced_at)
    values (coalesce(made, engine.now()), refunded.id, refunded.customer_id, refund_id, amount,
        case when amount >= refunded.total_inc_vat then 'full' else 'partial' end,
        coalesce(raw_ops.shopify_text(payload, 'note'), 'refunded in Shopify'), 'shopify', coalesce(made, engine.now()), 'processed',
        refunded.shopify_order_id, true, engine.now());
    return amount;
end
$$;

-- Takes a refund into its order: one whose money is all given back has ended; of another, the lines shrink. What is at the
-- packer or has left is for a person.
create function raw_ops.settle_refunded_order(payload jsonb, refunded raw_ops.orders, inbox_id uuid) returns integer
language plpgsql
as $$
declare
    given_back numeric;
    ended boolean;
    new_status raw_ops.order_status;
begin
    select coalesce(sum(r.amount_gbp), 0) into given_back from raw_ops.refunds r where r.order_id = refunded.id and r.status = 'processed';
    ended := given_back > 0 and given_back >= refunded.total_inc_vat;
    new_status := case when ended then raw_ops.next_order_status(refunded.status, 'REFUNDED') else refunded.status end;
    if new_status <> refunded.status then
        update raw_ops.orders o set status = new_status where o.id = refunded.id;
        perform raw_ops.request_allocation(refunded.id, new_status);
    elsif refunded.status in ('PENDING', 'PAID', 'PARTIALLY_ALLOCATED', 'ALLOCATED') then
        return raw_ops.shrink_refunded_lines(payload, refunded, inbox_id);
    elsif refunded.status in ('EXPORTED', 'DISPATCHED') and (ended or exists (select from raw_ops.shopify_cancelled_lines(payload))) then
        perform raw_ops.log_order_once(refunded.id, 'order_ended_late', format(
            'Shopify refunded order %s when it was %s already: stop it at the packer or expect it back',
            refunded.order_number_label, refunded.status), 'shopify', inbox_id);
    end if;
    return 0;
end
$$;

-- Processes the refund that lies in the inbox under `inbox_id`.
--
-- Returns the order, and `recorded`; `known` when the refund is no news; `waiting`, with nothing written, when its order is not
-- there yet. The inbox row is marked in the same transaction. Errors: P0002 when there is no such row, class 22 and 23 when
-- the document is no sound refund.
create function raw_ops.process_refund_webhook_txn(inbox_id uuid) returns table (order_id uuid, outcome text)
language plpgsql
as $$
declare
    began timestamptz := clock_timestamp();  -- Elapsed work, not a date: the real clock even under a test clock.
    inbox raw_ops.webhook_inbox;
    refunded raw_ops.orders;
    amount numeric;
    freed integer;
begin
    select * into inbox from raw_ops.webhook_inbox w where w.id = $1 for update;
    if not found then
        raise exception 'webhook % is not in the inbox', $1 using errcode = 'P0002';
    elsif raw_ops.shopify_text(inbox.raw_payload, 'id') is null or raw_ops.shopify_text(inbox.raw_payload, 'order_id') is null then
        raise exception 'the payload is not a refund: id or order_id is missing' using errcode = '22023';
    end if;
    refunded := raw_ops.lock_shopify_order(inbox.raw_payload ->> 'order_id');
    order_id := refunded.id;
    if refunded.id is null then
        outcome := 'waiting';
        return next;
        return;
    end if;
    update raw_ops.webhook_inbox w set shopify_order_id = refunded.shopify_order_id::bigint where w.id = inbox.id;
    if exists (select from raw_ops.ops_events e where e.entity_id = refunded.id and e.kind = 'order_refunded'
               and e.meta ->> 'shopify_refund_id' = inbox.raw_payload ->> 'id') then
        outcome := 'known';
    else
        outcome := 'recorded';
        amount := raw_ops.record_shopify_refund(inbox.raw_payload, refunded, inbox.id);
        freed := raw_ops.settle_refunded_order(inbox.raw_payload, refunded, inbox.id);
        perform raw_ops.log_event('ORDER', refunded.id, 'order_refunded',
            format('Shopify refunded %s of order %s', amount, refunded.order_number_label),
            jsonb_build_object('inbox_id', inbox.id, 'shopify_refund_id', inbox.raw_payload ->> 'id', 'amount', amount, 'units_freed', freed),
            'shopify', inbox.id);
    end if;
    perform raw_ops.settle_webhook(inbox.id, began);
    return next;
end
$$;
