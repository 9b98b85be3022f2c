-- Lines that Shopify changed too late and changed back are no case any more, and changed once more they are told once more. A document
-- from before a refund, which comes after it, changes nothing: what the refund took is taken from what the document has.
--
-- Locks: none but for the functions that are replaced. At run time: the order's open cases; the caller holds the order.

-- The lines that a document has, without what refunds that are written down took of them since.
create function raw_ops.shopify_lines_left(payload jsonb) returns table (line jsonb, line_id text, qty integer)
language sql stable
as $$
    select l.line, l.line_id, n.qty
    from raw_ops.shopify_live_lines(payload, false) l
    cross join lateral (
        select greatest(l.fulfilled, least(l.qty, (l.line ->> 'quantity')::integer
            - raw_ops.cancelled_units((payload ->> 'id')::bigint, l.line_id, null))) as qty
    ) n
    where n.qty > 0
$$;

-- As 0179, of the lines that are left.
create or replace function raw_ops.shopify_item_changes(payload jsonb, saved_order uuid) returns text
language sql stable
as $$
    select left(string_agg(
        format('%s is %s and was %s', coalesce(i.sku, raw_ops.shopify_text(l.line, 'sku'), i.product_name, raw_ops.shopify_text(l.line, 'title'),
            'line ' || coalesce(l.line_id, i.shopify_line_item_id)), coalesce(l.qty, 0), coalesce(i.qty, 0)),
        ', ' order by coalesce(l.line_id, i.shopify_line_item_id)), 500)
    from raw_ops.shopify_lines_left(payload) l
    full join (select * from raw_ops.order_items
               where order_id = saved_order and shopify_line_item_id is not null) i
        on i.shopify_line_item_id = l.line_id
    where i.qty is distinct from l.qty
$$;

-- As 0179, of the lines that are left.
create or replace function raw_ops.shopify_wants_more(payload jsonb, saved_order uuid) returns boolean
language sql stable
as $$
    select exists (
        select from raw_ops.shopify_lines_left(payload) l
        left join raw_ops.order_items i on i.order_id = saved_order and i.shopify_line_item_id = l.line_id
        where l.qty > coalesce(i.qty, 0)
    )
$$;

-- When the lines of an order last agreed again after people were told that they do not.
create function raw_ops.lines_agreed_at(wanted_order uuid) returns timestamptz
language plpgsql stable  -- As sql it would be planned anew at each call, which takes longer than it runs.
as $$
begin
    return coalesce((select max(e.created_at) from raw_ops.ops_events e
                     where e.entity_id = wanted_order and e.kind = 'order_changed_back'), '-infinity');
end
$$;

-- As 0179, of each difference since the lines last agreed.
create or replace function raw_ops.tell_of_changed_lines(changed_order uuid, label text, status raw_ops.order_status, differs text, inbox_id uuid) returns void
language plpgsql
as $$
declare
    words text := format('Shopify changed the lines of order %s when it was %s already, and they were left as they are: %s. %s',
        label, status, differs, case status when 'EXPORTED' then 'Tell the packer, or stop it' else 'Mend it before it goes to the packer' end);
    agreed_at timestamptz := raw_ops.lines_agreed_at(changed_order);
begin
    -- Events know of each telling, whatever became of its case.
    if not exists (select from raw_ops.ops_events e
                   where e.entity_id = changed_order and e.kind = 'order_changed_late' and e.message = words and e.created_at > agreed_at) then
        perform raw_ops.tell_of_late_change(changed_order, 'order_changed_late', words, inbox_id);
    end if;
end
$$;

-- Closes what people were told of lines that changed, once they agree again.
create function raw_ops.settle_changed_lines(agreeing_order uuid, label text, inbox_id uuid) returns void
language plpgsql
as $$
declare
    agreed_at timestamptz := raw_ops.lines_agreed_at(agreeing_order);
begin
    if exists (select from raw_ops.ops_events e
               where e.entity_id = agreeing_order and e.kind = 'order_changed_late' and e.created_at > agreed_at) then
        update raw_ops.exceptions_queue x set resolved = true, resolved_at = engine.now(), resolved_by = 'system'
        where x.order_id = agreeing_order and x.issue_type = 'order_changed_late' and not x.resolved;
        perform raw_ops.log_event('ORDER', agreeing_order, 'order_changed_back',
            format('The lines of order %s are again what Shopify has', label), null, 'shopify', inbox_id);
    end if;
end
$$;

-- As 0179, and what agrees again is settled.
create or replace function raw_ops.settle_shopify_items(payload jsonb, old raw_ops.orders, saved_order uuid, new_status raw_ops.order_status, inbox_id uuid) returns void
language plpgsql
as $$
declare
    differs text;
begin
    if old.id is null or old.status in ('PENDING', 'PAID') then
        perform raw_ops.save_shopify_items(payload, saved_order, new_status in ('CANCELLED', 'REFUNDED'));
        return;
    end if;
    update raw_ops.order_items i set fulfilled_qty = l.fulfilled
    from raw_ops.shopify_live_lines(payload, true) l
    where i.order_id = saved_order and i.shopify_line_item_id = l.line_id and l.fulfilled > i.fulfilled_qty;
    -- An end is told by itself, whatever status the order can still get.
    if new_status in ('CANCELLED', 'REFUNDED') or raw_ops.shopify_order_status(payload) in ('CANCELLED', 'REFUNDED') then
        return;
    end if;
    differs := raw_ops.shopify_item_changes(payload, saved_order);
    if differs is null then
        perform raw_ops.settle_changed_lines(saved_order, payload ->> 'name', inbox_id);
    -- What left has left. What is not wanted any more is refunded, in a document of its own that may come later, and does by itself what
    -- is to be done; at the packer too it is told once.
    elsif (new_status = 'EXPORTED' and not raw_ops.has_ended_late(saved_order))
        or (new_status in ('PARTIALLY_ALLOCATED', 'ALLOCATED') and raw_ops.shopify_wants_more(payload, saved_order)) then
        perform raw_ops.tell_of_changed_lines(saved_order, payload ->> 'name', new_status, differs, inbox_id);
    else
        perform raw_ops.log_order_once(saved_order, 'order_changed_late', format(
            'Shopify changed the lines of order %s when it was %s already; they were left as they are',
            payload ->> 'name', new_status), 'shopify', inbox_id);
    end if;
end
$$;
