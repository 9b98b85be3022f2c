-- What became of the orders $1 of the shop.
-- Index: orders' unique shopify_order_id. Caller: up/shop.rs
select o.shopify_order_id, o.total_inc_vat
from raw_ops.orders o where o.shopify_order_id = any ($1)
