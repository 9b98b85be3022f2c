-- What v_customer_context is to show, counted from the tables themselves.
select
    c.id as customer_id, c.shopify_customer_id, c.email, c.first_name, c.last_name, c.phone, c.city, c.postcode, c.persona,
    c.marketing_opt_in, c.created_at,
    o.orders, o.lifetime_value_gbp, o.first_order_at, o.last_order_at,
    n.id as newest_order_id, n.order_number_label as newest_order_label, n.status as newest_order_status,
    u.active_subscriptions, s.id as subscription_id, s.status as subscription_status, s.box_size, s.frequency_weeks,
    s.next_billing_date, s.payment_status,
    p.id as newest_shipment_id, p.status as newest_shipment_status, p.courier, p.tracking_no, p.dispatched_at, p.delivered_at
from raw_ops.customers c
cross join lateral (
    select
        count(*) as orders, min(x.ordered_at) as first_order_at, max(x.ordered_at) as last_order_at,
        coalesce(sum(x.total_gbp) filter (where x.status <> 'REFUNDED'), 0) as lifetime_value_gbp
    from raw_ops.orders x
    where x.customer_id = c.id and x.status not in ('PENDING', 'CANCELLED')
) o
left join lateral (
    select x.id, x.order_number_label, x.status
    from raw_ops.orders x where x.customer_id = c.id
    order by x.ordered_at desc, x.id limit 1
) n on true
cross join lateral (
    select count(*) as active_subscriptions from raw_ops.subscriptions x where x.customer_id = c.id and x.status = 'active'
) u
left join lateral (
    select x.id, x.status, x.box_size, x.frequency_weeks, x.next_billing_date, x.payment_status
    from raw_ops.subscriptions x where x.customer_id = c.id
    order by array_position(array['active', 'paused'], x.status), x.created_at desc, x.id limit 1
) s on true
left join lateral (
    select x.id, x.status, x.courier, x.tracking_no, x.dispatched_at, x.delivered_at
    from raw_ops.orders y
    join raw_ops.shipments x on x.order_id = y.id
    where y.customer_id = c.id
    order by coalesce(x.dispatched_at, x.created_at) desc, x.id limit 1
) p on true
