-- The numbers of one day, as London's clock has it.
--
-- Locks: creates new objects only.

-- What a day's orders came to. Orders that are unpaid or cancelled are none; money is the shop's own, in pounds.
create function raw_ops.orders_of_day(begins timestamptz, ends timestamptz) returns jsonb
language sql stable
as $$
    select jsonb_build_object('orders', count(*), 'subscription_orders', count(*) filter (where o.is_subscription),
        'revenue_gbp', coalesce(sum(o.total_gbp), 0))
    from raw_ops.orders o
    where o.ordered_at >= begins and o.ordered_at < ends and o.status not in ('PENDING', 'CANCELLED')
$$;

-- What left, and what arrived, on a day.
create function raw_ops.shipments_of_day(begins timestamptz, ends timestamptz) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'shipments_dispatched', count(*) filter (where s.dispatched_at >= begins and s.dispatched_at < ends),
        'shipments_delivered', count(*) filter (where s.delivered_at >= begins and s.delivered_at < ends),
        'units_dispatched', (select coalesce(sum(d.qty), 0) from raw_ops.stock_dispatches d
                             where d.dispatched_at >= begins and d.dispatched_at < ends))
    from raw_ops.shipments s
    where (s.dispatched_at >= begins and s.dispatched_at < ends) or (s.delivered_at >= begins and s.delivered_at < ends)
$$;

-- What stands open at this moment, whatever the day.
create function raw_ops.open_work() returns jsonb
language sql volatile
as $$
    select jsonb_build_object(
        'orders_waiting', (select count(distinct q.order_id) from raw_ops.allocation_queue q where q.state = 'pending'),
        'batches_in_qa_hold', (select count(*) from raw_ops.batches b where b.status = 'QA_HOLD'),
        'low_stock_products', (select count(*) from raw_ops.get_low_stock_alerts()),
        'tickets_open', (select count(*) from raw_ops.support_tickets t where t.status not in ('resolved', 'closed')),
        'webhooks_failed', (select count(*) from raw_ops.webhook_inbox i where i.processing_status = 'failed'),
        'dead_letters', (select count(*) from raw_ops.dead_letter_queue d where not d.resolved))
$$;

-- The metrics of a day, by default yesterday: one JSON object of numbers, and the day.
create function raw_ops.get_daily_snapshot(day date default null) returns jsonb
language plpgsql
as $$
declare
    wanted date := coalesce(day, raw_ops.today() - 1);
    begins timestamptz := wanted::timestamp at time zone 'Europe/London';
    ends timestamptz := (wanted + 1)::timestamp at time zone 'Europe/London';
begin
    return jsonb_build_object('day', wanted)
        || raw_ops.orders_of_day(begins, ends) || raw_ops.shipments_of_day(begins, ends)
        || jsonb_build_object(
            'batches_released', (select count(*) from raw_ops.batches b where b.released_at >= begins and b.released_at < ends),
            'tickets_opened', (select count(*) from raw_ops.support_tickets t where t.created_at >= begins and t.created_at < ends))
        || raw_ops.open_work();
end
$$;
