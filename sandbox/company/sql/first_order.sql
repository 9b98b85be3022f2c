-- The place of the next order after those that were told before: one more than the largest of Shopify's ids from $1 on
-- with as many digits.
-- Caller: company/mod.rs
select coalesce(max(shopify_order_id::bigint) - $1 + 1, 0)
from raw_ops.orders
where length(shopify_order_id) = length($1::text) and shopify_order_id ~ '^4[0-9]+$'
