-- Tickets and customers as the support team looks at them (registry 2.2).
--
-- Both are made to be asked for a few rows: filter by ticket_id, status, or customer_id.
-- Locks: creates new objects only.

create view raw_ops.v_support_queue as
select
    t.id as ticket_id, t.status, t.source, t.subject, t.created_at, t.assigned_to, t.reply_count, t.is_outbound,
    t.is_pre_purchase,
    t.customer_id, coalesce(c.email::text, t.customer_email) as customer_email,
    nullif(concat_ws(' ', c.first_name, c.last_name), '') as customer_name,
    t.related_order_id, t.related_batch_code,
    d.id as decision_id, coalesce(d.category, t.ai_category) as category,
    coalesce(d.confidence_score, t.ai_confidence) as confidence,
    coalesce(d.draft_response, t.ai_draft_response) as draft_response, d.review_status, d.policy_gate_code,
    coalesce(d.escalation_reason, t.ai_escalation_reason) as escalation_reason,
    w.waiting_since, (select engine.now()) - w.waiting_since as waiting
from raw_ops.support_tickets t
cross join lateral (
    select case when t.last_response_at is null or t.last_customer_reply_at > t.last_response_at
        then coalesce(t.last_customer_reply_at, t.created_at) end as waiting_since
) w
left join raw_ops.customers c on c.id = t.customer_id
left join lateral (
    select x.id, x.category, x.confidence_score, x.draft_response, x.review_status, x.policy_gate_code, x.escalation_reason
    from raw_ops.cs_agent_decisions x
    where x.ticket_id = t.id
    order by coalesce(x.processed_at, x.created_at) desc nulls last, x.id
    limit 1
) d on true
where t.status not in ('resolved', 'closed') or t.status is null;
comment on view raw_ops.v_support_queue is 'Open tickets with context';
comment on column raw_ops.v_support_queue.waiting_since is
    'The customer''s last word that has no answer; null while the customer is to answer.';
comment on column raw_ops.v_support_queue.category is 'Of the newest decision of the agent, as the columns around it.';

create view raw_ops.v_customer_context as
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
) p on true;
comment on view raw_ops.v_customer_context is 'Full customer view';
comment on column raw_ops.v_customer_context.orders is
    'Paid for and not cancelled; so are the money and the two dates after it, the money without refunded orders.';
comment on column raw_ops.v_customer_context.subscription_id is 'The active one, else a paused one, else the newest.';
