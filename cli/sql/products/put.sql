-- Make the products that the sandbox's orders name; those that exist stay as they are. Returns how many were made.
-- Locks: new rows, in sku order. Caller: up/shop.rs
with made as (
    insert into raw_ops.products (sku, name, kg)
    select u.sku, u.name, u.kg from unnest($1::text[], $2::text[], $3::numeric[]) u (sku, name, kg)
    order by u.sku
    on conflict (sku) do nothing
    returning 1
)
select count(*) as made from made
