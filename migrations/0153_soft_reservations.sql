-- Soft reservations: an order that is placed and not paid yet holds its stock for a while.
--
-- A hold is no allocation: it ends by itself, hold_minutes after the order was placed, and the order is packed from nothing that
-- it holds. Paid in time, the order gives its holds up and takes its allocations in one transaction, under the lock of its
-- products, so that nobody comes in between. Whoever makes or ends holds locks as the allocator does: the order, its products,
-- their batches. A hold counts as not free, and never stands against the check that no batch is oversold: goods that have left
-- are a fact, whoever held them.
-- Locks: share row exclusive on raw_ops.orders and raw_ops.batches for the foreign keys, for a moment.

create table raw_ops.soft_reservations (
    order_id   uuid not null references raw_ops.orders,
    batch_id   uuid not null references raw_ops.batches,
    units      integer not null check (units > 0),
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    primary key (order_id, batch_id)
);
comment on table raw_ops.soft_reservations is 'Units that orders which are not paid yet hold for a while; batches.qty_soft_reserved is their sum.';

create index soft_reservations_expiry on raw_ops.soft_reservations (expires_at);
create index soft_reservations_batch on raw_ops.soft_reservations (batch_id);

insert into raw_ops.config (key, value_numeric, description)
values ('allocation.hold_minutes', 60, 'Minutes from its placing for which an unpaid order holds its stock; 0 holds none')
on conflict (key) do nothing;

-- As 0042, without what is held.
create or replace function raw_ops.free_batches(product uuid, first_expiry date)
returns table (batch_id uuid, expiry_date date, produced_at date, units integer)
language sql stable
as $$
    select b.id, b.expiry_date, b.produced_at, floor(b.qty_on_hand - coalesce(b.qty_reserved, 0) - coalesce(b.qty_soft_reserved, 0))::integer
    from raw_ops.batches b
    where b.product_id = product and b.status = 'RELEASED'
      and b.qty_on_hand - coalesce(b.qty_reserved, 0) - coalesce(b.qty_soft_reserved, 0) >= 1
      and (b.expiry_date is null or b.expiry_date >= first_expiry)
$$;

-- As 0037, without what is held.
create or replace view raw_ops.v_inventory_status as
select
    b.id as batch_id, b.batch_code, b.product_id, p.sku, p.name as product, b.status, b.expiry_date,
    b.expiry_date - d.today as days_to_expiry,
    q.on_hand as units_on_hand, q.reserved as units_reserved, coalesce(b.qty_soft_reserved, 0) as units_soft_reserved,
    case when b.status = 'RELEASED' and (b.expiry_date is null or b.expiry_date >= d.today + d.min_shelf_days)
        then greatest(floor(q.on_hand - q.reserved - coalesce(b.qty_soft_reserved, 0)), 0) else 0 end as units_free,
    q.on_hand * p.kg as kg_expected, i.kg as kg_recorded, i.kg - q.on_hand * p.kg as kg_drift, i.locations
from raw_ops.batches b
cross join lateral (select coalesce(b.qty_on_hand, 0) as on_hand, coalesce(b.qty_reserved, 0) as reserved) q
cross join (
    select
        (engine.now() at time zone 'Europe/London')::date as today,
        coalesce((select value_numeric from raw_ops.config where key = 'allocation.min_shelf_days'), 0)::integer as min_shelf_days
) d
left join raw_ops.products p on p.id = b.product_id
left join lateral (
    select sum(n.kg_available) as kg, array_agg(n.location order by n.location) as locations
    from raw_ops.inventory n where n.batch_id = b.id
) i on true
where q.on_hand > 0 or i.kg > 0;

-- The products of which an order holds something.
create function raw_ops.held_products(held_order uuid) returns uuid[]
language plpgsql stable  -- As sql it would be planned anew at each call, which takes longer than it runs.
as $$
begin
    return array(
        select distinct b.product_id
        from raw_ops.soft_reservations h join raw_ops.batches b on b.id = h.batch_id where h.order_id = held_order);
end
$$;

-- Ends the holds of an order. Returns how many units they were. The caller holds the products.
create function raw_ops.drop_holds(held_order uuid) returns integer
language plpgsql
as $$
declare
    dropped integer;
begin
    with gone as (
        delete from raw_ops.soft_reservations h where h.order_id = held_order returning h.batch_id, h.units
    ),
    opened as (
        update raw_ops.batches b set qty_soft_reserved = greatest(coalesce(b.qty_soft_reserved, 0) - g.units, 0)
        from gone g where b.id = g.batch_id
    )
    select coalesce(sum(g.units), 0) into dropped from gone g;
    return dropped;
end
$$;

-- Ends the holds of an order, and looks again for those who wait for the stock. Returns how many units they were.
create function raw_ops.give_up_holds(held_order uuid) returns integer
language plpgsql
as $$
declare
    products uuid[] := raw_ops.held_products(held_order);
    dropped integer := 0;
begin
    if cardinality(products) > 0 then
        perform raw_ops.lock_products(products);
        dropped := raw_ops.drop_holds(held_order);
        perform raw_ops.wake_waiting_orders(p.id) from unnest(products) p (id) order by p.id;
    end if;
    return dropped;
end
$$;

-- Holds up to `wanted` units of a product, those that expire first first. Returns how many it got. The caller holds the product.
create function raw_ops.hold_units(placed_order uuid, product uuid, wanted bigint, until timestamptz) returns integer
language plpgsql
as $$
declare
    got integer;
begin
    with free as (
        select f.batch_id, f.units,
            sum(f.units) over (order by f.expiry_date, f.produced_at, f.batch_id) - f.units as before
        from raw_ops.free_batches(product, raw_ops.first_expiry()) f
    ),
    taken as (
        select f.batch_id, least(f.units, wanted - f.before)::integer as units from free f where f.before < wanted
    ),
    held as (
        update raw_ops.batches b set qty_soft_reserved = coalesce(b.qty_soft_reserved, 0) + t.units from taken t where b.id = t.batch_id
    ),
    made as (
        insert into raw_ops.soft_reservations (order_id, batch_id, units, expires_at, created_at)
        select placed_order, t.batch_id, t.units, until, engine.now() from taken t
        returning units
    )
    select coalesce(sum(m.units), 0) into got from made m;
    return got;
end
$$;

-- Holds for an order that is not paid what it needs and is free, in place of what it held. Returns how many units.
create function raw_ops.hold_stock(placed_order uuid) returns integer
language plpgsql
as $$
declare
    until timestamptz;
    products uuid[];
    before integer;
    held integer := 0;
begin
    select least(o.ordered_at, engine.now()) + make_interval(mins => raw_ops.threshold('allocation.hold_minutes')::integer) into until
    from raw_ops.orders o where o.id = placed_order and o.status = 'PENDING' for no key update;
    if not found then
        return 0;
    end if;
    products := array(select n.product_id from raw_ops.order_needs(placed_order) n where n.product_id is not null
                      union select unnest(raw_ops.held_products(placed_order)));
    perform raw_ops.lock_products(products);
    before := raw_ops.drop_holds(placed_order);
    if until > engine.now() then
        select coalesce(sum(raw_ops.hold_units(placed_order, n.product_id, n.units, until)), 0) into held
        from (select n.product_id, sum(n.units) as units from raw_ops.order_needs(placed_order) n
              where n.product_id is not null group by n.product_id order by n.product_id) n;
    end if;
    if before > held then
        perform raw_ops.wake_waiting_orders(p.id) from unnest(products) p (id) order by p.id;
    end if;
    return held;
end
$$;

-- Ends the holds of the order whose time was up first. Returns the order; null when nobody's time is up. One order a transaction,
-- because the products of two could not be locked in the order of their ids.
create function raw_ops.release_expired_hold() returns uuid
language plpgsql
as $$
declare
    expired uuid;
begin
    select h.order_id into expired from raw_ops.soft_reservations h
    where h.expires_at <= (select engine.now()) order by h.expires_at, h.order_id limit 1;
    -- A statement of its own: what the order's holder did meanwhile is seen after it.
    perform from raw_ops.orders o where o.id = expired for no key update;
    if exists (select from raw_ops.soft_reservations h where h.order_id = expired and h.expires_at <= engine.now()) then
        perform raw_ops.log_event('ORDER', expired, 'stock_hold_ended', 'The order was not paid in time and gave up '
            || raw_ops.give_up_holds(expired) || ' units that it held', null, null, null);
    end if;
    return expired;
end
$$;

-- As 0043; the order's own holds become free for it first.
create or replace function raw_ops.reserve_for_order(wanted_order uuid, run uuid) returns integer
language plpgsql
as $$
declare
    held uuid[] := raw_ops.held_products(wanted_order);
    products uuid[] := array(select n.product_id from raw_ops.order_needs(wanted_order) n where n.product_id is not null
                             union select unnest(held));
    need record;
    got integer := 0;
begin
    perform raw_ops.lock_products(products);
    perform from raw_ops.batches b
    where b.product_id = any (products) and b.status = 'RELEASED' and b.qty_on_hand > coalesce(b.qty_reserved, 0)
    order by b.id for no key update;
    if cardinality(held) > 0 then
        perform raw_ops.drop_holds(wanted_order);
    end if;

    for need in
        select * from raw_ops.order_needs(wanted_order) n where n.product_id is not null order by n.order_item_id
    loop
        got := got + raw_ops.reserve_stock(need.order_item_id, need.product_id, need.units, run);
    end loop;
    return got;
end
$$;

-- As 0043; an order that ended holds nothing.
create or replace function raw_ops.request_allocation(paid_order uuid, new_status raw_ops.order_status) returns void
language plpgsql
as $$
begin
    if new_status in ('CANCELLED', 'REFUNDED') then
        update raw_ops.allocation_queue q set state = 'cancelled', completed_at = engine.now()
        where q.order_id = paid_order and q.state = 'pending';
        perform raw_ops.free_allocations(paid_order);
        perform raw_ops.give_up_holds(paid_order);
    elsif new_status = 'PAID' then
        insert into raw_ops.allocation_queue (order_id, created_at)
        select paid_order, engine.now()
        where not exists (select from raw_ops.allocation_queue q where q.order_id = paid_order);
        -- The new request is a job by its own trigger. One that waits already looks again: the lines may be others now.
        if not found and exists (select from raw_ops.allocation_queue q where q.order_id = paid_order and q.state = 'pending') then
            perform raw_ops.enqueue_allocation(paid_order);
        end if;
    end if;
end
$$;

-- As 0018; an order that waits for its payment holds its stock. A test order does not.
create or replace function raw_ops.apply_shopify_order(inbox raw_ops.webhook_inbox, updated_at timestamp with time zone, old raw_ops.orders, wanted raw_ops.order_status) returns uuid
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
    if new_status = 'PENDING' and payload ->> 'financial_status' in ('pending', 'authorized', 'partially_paid')
        and payload ->> 'test' is distinct from 'true' then
        perform raw_ops.hold_stock(saved_order);
    end if;
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

-- As 0137, with what is held.
create or replace function raw_ops.stock_drift() returns TABLE(figure text, subject text, expected numeric, found numeric)
language sql stable
as $$
    select 'units reserved of a batch', b.batch_code, coalesce(a.units, 0), coalesce(b.qty_reserved, 0)
    from raw_ops.batches b
    left join (
        select a.batch_id, sum(a.qty_allocated) as units from raw_ops.allocations a
        where not exists (select from raw_ops.stock_dispatches d where d.allocation_id = a.id)
        group by a.batch_id
    ) a on a.batch_id = b.id
    where coalesce(b.qty_reserved, 0) <> coalesce(a.units, 0)
    union all
    select 'units held of a batch', b.batch_code, coalesce(h.units, 0), coalesce(b.qty_soft_reserved, 0)
    from raw_ops.batches b
    left join (select h.batch_id, sum(h.units) as units from raw_ops.soft_reservations h group by h.batch_id) h on h.batch_id = b.id
    where coalesce(b.qty_soft_reserved, 0) <> coalesce(h.units, 0)
    union all
    select 'kilograms of a batch', r.batch_code, r.kg_expected, r.kg_recorded
    from raw_ops.get_current_inventory_for_reconciliation() r
    where abs(r.kg_recorded - r.kg_expected) > 0.001
    union all
    select 'units on hand of a product', p.sku, s.units, coalesce(h.qty_available, 0)
    from raw_ops.products p
    cross join lateral (
        select coalesce(floor(sum(b.qty_on_hand)), 0) as units from raw_ops.batches b where b.product_id = p.id and b.status = 'RELEASED'
    ) s
    left join raw_ops.inventory_on_hand h on h.sku = p.sku
    where coalesce(h.qty_available, 0) <> s.units
$$;
