-- Whoever changes orders, subscriptions or shipments, by whatever statement, owes the customers it concerns new figures, and
-- counts them when it commits: it locks their rows, in the order of ids, and counts in the statement after. Of two writers of
-- one customer the second sees what the first did. As nothing is locked before, no other lock is ever waited for with these
-- in hand, so writers need no order among themselves; and a long transaction counts each customer once.
--
-- Nothing is added up from changes: an upsert fires two triggers and a statement may have several parts, which would be
-- added twice. A row that was wrong is right again after the next change.
--
-- Locks: share row exclusive on the three tables while the figures are filled, some 10 s a million orders.

create unlogged table raw_ops.customer_figures_due (
    xact xid8 not null default pg_current_xact_id(),
    is_call boolean not null default false,
    customer_id uuid,
    order_id uuid
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
comment on table raw_ops.customer_figures_due is
    'What open transactions owe: customers, orders whose shipments changed, and one call a transaction. Rows end before the commit.';
-- By transaction, so that nobody reads what others left dead.
create index customer_figures_due_xact on raw_ops.customer_figures_due (xact, is_call);

create function raw_ops.call_customer_figures() returns void
language plpgsql
as $$
begin
    if not exists (select from raw_ops.customer_figures_due d where d.xact = pg_current_xact_id() and d.is_call) then
        insert into raw_ops.customer_figures_due (is_call) values (true);
    end if;
end
$$;
comment on function raw_ops.call_customer_figures is 'Sees to it that what this transaction owes is counted when it commits.';

create function raw_ops.owe_order_figures() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'INSERT' then
        insert into raw_ops.customer_figures_due (customer_id)
        select distinct n.customer_id from new_rows n where n.customer_id is not null;
    elsif tg_op = 'UPDATE' then
        -- What stands there once, and not before and after, is what changed.
        insert into raw_ops.customer_figures_due (customer_id)
        select distinct r.customer_id
        from (
            select o.id, o.customer_id, o.status, o.total_gbp, o.ordered_at, o.order_number_label from old_rows o
            union all
            select n.id, n.customer_id, n.status, n.total_gbp, n.ordered_at, n.order_number_label from new_rows n
        ) r
        where r.customer_id is not null
        group by r.id, r.customer_id, r.status, r.total_gbp, r.ordered_at, r.order_number_label having count(*) = 1;
    elsif tg_op = 'DELETE' then
        insert into raw_ops.customer_figures_due (customer_id)
        select distinct o.customer_id from old_rows o where o.customer_id is not null;
    else
        insert into raw_ops.customer_figures_due (customer_id) select f.customer_id from raw_ops.customer_figures f;
    end if;
    if found then
        perform raw_ops.call_customer_figures();
    end if;
    return null;
end
$$;

create function raw_ops.owe_subscription_figures() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'INSERT' then
        insert into raw_ops.customer_figures_due (customer_id) select distinct n.customer_id from new_rows n;
    elsif tg_op = 'UPDATE' then
        insert into raw_ops.customer_figures_due (customer_id)
        select distinct r.customer_id
        from (
            select o.id, o.customer_id, o.status, o.box_size, o.frequency_weeks, o.next_billing_date, o.payment_status, o.created_at
            from old_rows o
            union all
            select n.id, n.customer_id, n.status, n.box_size, n.frequency_weeks, n.next_billing_date, n.payment_status, n.created_at
            from new_rows n
        ) r
        group by r.id, r.customer_id, r.status, r.box_size, r.frequency_weeks, r.next_billing_date, r.payment_status, r.created_at
        having count(*) = 1;
    elsif tg_op = 'DELETE' then
        insert into raw_ops.customer_figures_due (customer_id) select distinct o.customer_id from old_rows o;
    else
        insert into raw_ops.customer_figures_due (customer_id) select f.customer_id from raw_ops.customer_figures f;
    end if;
    if found then
        perform raw_ops.call_customer_figures();
    end if;
    return null;
end
$$;

create function raw_ops.owe_shipment_figures() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'INSERT' then
        insert into raw_ops.customer_figures_due (order_id) select distinct n.order_id from new_rows n;
    elsif tg_op = 'UPDATE' then
        insert into raw_ops.customer_figures_due (order_id)
        select distinct r.order_id
        from (
            select o.id, o.order_id, o.status, o.courier, o.tracking_no, o.dispatched_at, o.delivered_at, o.created_at from old_rows o
            union all
            select n.id, n.order_id, n.status, n.courier, n.tracking_no, n.dispatched_at, n.delivered_at, n.created_at from new_rows n
        ) r
        group by r.id, r.order_id, r.status, r.courier, r.tracking_no, r.dispatched_at, r.delivered_at, r.created_at
        having count(*) = 1;
    elsif tg_op = 'DELETE' then
        insert into raw_ops.customer_figures_due (order_id) select distinct o.order_id from old_rows o;
    else
        insert into raw_ops.customer_figures_due (customer_id) select f.customer_id from raw_ops.customer_figures f;
    end if;
    if found then
        perform raw_ops.call_customer_figures();
    end if;
    return null;
end
$$;

-- Customers are few nearly always, so each is looked up by index, whatever the planner thinks of tables it knows nothing of,
-- by a plan that is made once a session.
create function raw_ops.count_due_customers() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    due uuid[];
    shipped uuid[];
    locked uuid[] := '{}';
begin
    with gone as (
        delete from raw_ops.customer_figures_due d where d.xact = pg_current_xact_id() returning d.customer_id, d.order_id
    )
    select array_agg(distinct g.customer_id) filter (where g.customer_id is not null),
        array_agg(distinct g.order_id) filter (where g.order_id is not null)
    into due, shipped from gone g;

    -- An order may go to another customer while this one's turn is waited for: ask again whose it is until nobody is new.
    loop
        due := array(
            select unnest(due)
            union select o.customer_id from raw_ops.orders o where o.id = any (shipped) and o.customer_id is not null
            order by 1);
        exit when due = locked;
        perform raw_ops.lock_customer_figures(due);
        locked := due;
    end loop;
    if locked <> '{}' then
        perform raw_ops.refresh_customer_figures(locked);
    end if;
    return null;
end
$$;

create constraint trigger trg_count_due_customers after insert on raw_ops.customer_figures_due
deferrable initially deferred for each row when (new.is_call) execute function raw_ops.count_due_customers();

create trigger trg_order_figures_new after insert on raw_ops.orders
referencing new table as new_rows for each statement execute function raw_ops.owe_order_figures();
create trigger trg_order_figures_changed after update on raw_ops.orders
referencing old table as old_rows new table as new_rows for each statement execute function raw_ops.owe_order_figures();
create trigger trg_order_figures_gone after delete on raw_ops.orders
referencing old table as old_rows for each statement execute function raw_ops.owe_order_figures();
create trigger trg_order_figures_emptied after truncate on raw_ops.orders
for each statement execute function raw_ops.owe_order_figures();

create trigger trg_subscription_figures_new after insert on raw_ops.subscriptions
referencing new table as new_rows for each statement execute function raw_ops.owe_subscription_figures();
create trigger trg_subscription_figures_changed after update on raw_ops.subscriptions
referencing old table as old_rows new table as new_rows for each statement execute function raw_ops.owe_subscription_figures();
create trigger trg_subscription_figures_gone after delete on raw_ops.subscriptions
referencing old table as old_rows for each statement execute function raw_ops.owe_subscription_figures();
create trigger trg_subscription_figures_emptied after truncate on raw_ops.subscriptions
for each statement execute function raw_ops.owe_subscription_figures();

create trigger trg_shipment_figures_new after insert on raw_ops.shipments
referencing new table as new_rows for each statement execute function raw_ops.owe_shipment_figures();
create trigger trg_shipment_figures_changed after update on raw_ops.shipments
referencing old table as old_rows new table as new_rows for each statement execute function raw_ops.owe_shipment_figures();
create trigger trg_shipment_figures_gone after delete on raw_ops.shipments
referencing old table as old_rows for each statement execute function raw_ops.owe_shipment_figures();
create trigger trg_shipment_figures_emptied after truncate on raw_ops.shipments
for each statement execute function raw_ops.owe_shipment_figures();

-- Nobody writes any more: the triggers above wait for writers and keep new ones out until this commits.
do $$
declare
    customers uuid[] := array(
        select o.customer_id from raw_ops.orders o where o.customer_id is not null
        union
        select s.customer_id from raw_ops.subscriptions s);
begin
    perform raw_ops.lock_customer_figures(customers);
    perform raw_ops.refresh_customer_figures(customers);
end
$$;

create or replace view raw_ops.v_customer_context as
select
    c.id as customer_id, c.shopify_customer_id, c.email, c.first_name, c.last_name, c.phone, c.city, c.postcode, c.persona,
    c.marketing_opt_in, c.created_at,
    coalesce(f.orders, 0) as orders, coalesce(f.lifetime_value_gbp, 0) as lifetime_value_gbp, f.first_order_at, f.last_order_at,
    f.newest_order_id, f.newest_order_label, f.newest_order_status,
    coalesce(f.active_subscriptions, 0) as active_subscriptions, f.subscription_id, f.subscription_status, f.box_size, f.frequency_weeks,
    f.next_billing_date, f.payment_status,
    f.newest_shipment_id, f.newest_shipment_status, f.courier, f.tracking_no, f.dispatched_at, f.delivered_at
from raw_ops.customers c
left join raw_ops.customer_figures f on f.customer_id = c.id;
comment on view raw_ops.v_customer_context is 'Full customer view';
