-- Customers, orders, their lines, and the products they name (registry 1.1).
--
-- Where the registry has two columns for one fact, the first is canonical and the second is filled equal; the
-- checks below hold for whoever writes both. Columns named *_gbp are filled only where the order's currency is GBP.
-- Locks: creates new objects only.

create table raw_ops.customers (
    id uuid primary key default gen_random_uuid(),
    shopify_customer_id text,
    email citext,
    first_name text,
    last_name text,
    phone text,
    address_json jsonb,
    marketing_opt_in boolean default false,
    created_at timestamptz not null default now(),
    address1 text,
    address2 text,
    city text,
    region text,
    postcode text,
    country_code text,
    portal_first_visited_at timestamptz,
    persona text,
    acquisition_diet text,
    constraint customers_email_key unique (email),
    constraint customers_shopify_customer_id_key unique (shopify_customer_id)
);
comment on table raw_ops.customers is 'Customer master data synced from Shopify';
comment on column raw_ops.customers.email is 'Null when unknown, never empty: two customers may both have none.';
comment on column raw_ops.customers.address1 is 'Canonical with the columns after it; address_json keeps the whole address as received.';

create index idx_customers_acquisition_diet on raw_ops.customers (acquisition_diet);
create index idx_customers_portal_first_visited on raw_ops.customers (portal_first_visited_at);

create table raw_ops.products (
    id uuid primary key default gen_random_uuid(),
    sku text not null,
    name text not null,
    kg numeric not null,
    is_active boolean not null default true,
    created_at timestamptz not null default now(),
    constraint products_sku_key unique (sku)
);
comment on table raw_ops.products is 'Product catalog';

create table raw_ops.orders (
    id uuid primary key default gen_random_uuid(),
    shopify_order_id text,
    customer_id uuid references raw_ops.customers,
    subtotal_ex_vat numeric(12, 2) not null default 0,
    vat numeric(12, 2) not null default 0,
    total_inc_vat numeric(12, 2) not null default 0,
    currency text not null default 'GBP',
    status raw_ops.order_status not null default 'PENDING',
    is_subscription boolean not null default false,
    utm jsonb,
    ordered_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    order_number_label text,
    created_at_shopify timestamptz,
    updated_at_shopify timestamptz,
    fulfillment_status text,
    subtotal_gbp numeric(12, 2),
    tax_gbp numeric(12, 2),
    discount_gbp numeric(12, 2),
    total_gbp numeric(12, 2),
    ship_name text,
    ship_phone text,
    ship_address1 text,
    ship_address2 text,
    ship_city text,
    ship_postcode text,
    ship_country text,
    notes_json jsonb,
    tags text[],
    utm_json jsonb,
    export_state text,
    exported_at timestamptz,
    external_order_ref text,
    acked_at timestamptz,
    manifest_version text default 'v1',
    referral_slug text,
    referral_id uuid,  -- references referrals: the key comes with that table
    discount_codes jsonb,
    referral_processed_at timestamptz,
    credit_checked_at timestamptz,
    credit_applied_pence integer default 0,
    constraint orders_shopify_order_id_key unique (shopify_order_id),
    constraint orders_subtotal_agrees check (subtotal_gbp = subtotal_ex_vat),
    constraint orders_tax_agrees check (tax_gbp = vat),
    constraint orders_total_agrees check (total_gbp = total_inc_vat),
    constraint orders_utm_agrees check (utm_json = utm)
);
comment on table raw_ops.orders is 'Order headers from Shopify webhooks';
comment on column raw_ops.orders.subtotal_ex_vat is 'Goods after discounts, without VAT and shipping, in the shop''s currency.';
comment on column raw_ops.orders.vat is 'All VAT of the order, that of shipping included.';
comment on column raw_ops.orders.total_inc_vat is 'What the customer paid or owes: goods, shipping and VAT, as sold; refunds are rows of refunds.';
comment on column raw_ops.orders.shopify_order_id is 'The text of Shopify''s integer.';

create index idx_orders_allocation_pending on raw_ops.orders (status, created_at) where status = 'PAID';
create index idx_orders_created_at_desc on raw_ops.orders (created_at desc);
create index idx_orders_credit_pending on raw_ops.orders (created_at) where credit_checked_at is null;
create index idx_orders_customer_recent on raw_ops.orders (customer_id, ordered_at desc);
create index idx_orders_export_eligibility on raw_ops.orders (status, export_state, ordered_at)
    where status = 'PAID' and export_state is null;
create index idx_orders_export_state on raw_ops.orders (status, export_state);
create index idx_orders_paid_unallocated on raw_ops.orders (created_at) where status = 'PAID';
create index idx_orders_referral_id on raw_ops.orders (referral_id) where referral_id is not null;
create index orders_ordered_at_idx on raw_ops.orders (ordered_at);

create table raw_ops.order_items (
    id uuid primary key default gen_random_uuid(),
    order_id uuid not null references raw_ops.orders,
    product_id uuid references raw_ops.products,
    qty integer not null,
    unit_price_ex_vat numeric(12, 2) not null,
    shopify_line_item_id text,
    shopify_product_id text,
    sku text,
    product_name text,
    quantity integer,
    unit_price_gbp numeric(12, 2),
    fulfilled_qty integer not null default 0,
    pet_number integer,
    pet_name text,
    daily_grams integer,
    life_stage text,
    constraint order_items_shopify_line_item_id_key unique (shopify_line_item_id),
    constraint order_items_quantity_agrees check (quantity = qty),
    constraint order_items_unit_price_agrees check (unit_price_gbp = unit_price_ex_vat)
);
comment on table raw_ops.order_items is 'Line items per order';
comment on column raw_ops.order_items.unit_price_ex_vat is 'List price of one unit without VAT, before discounts, rounded to the penny.';
comment on column raw_ops.order_items.fulfilled_qty is 'Units that Shopify says were sent; a line with any is never removed.';

create index idx_order_items_allocation_lookup on raw_ops.order_items (order_id, id);
create index idx_order_items_order_id on raw_ops.order_items (order_id);
create index idx_order_items_order_lookup on raw_ops.order_items (order_id, id, product_id);
create index idx_order_items_pet on raw_ops.order_items (order_id, pet_number) where pet_number is not null;
create index idx_order_items_product on raw_ops.order_items (product_id) where product_id is not null;
