-- Of each of the shop's orders $1, in their order, whether it was ever received.
-- Index: orders' unique shopify_order_id, webhook_inbox by shopify_order_id. Caller: up/shop.rs
select exists (select from raw_ops.orders o where o.shopify_order_id = given.id::text)
    or exists (select from raw_ops.webhook_inbox i where i.shopify_order_id = given.id)
from unnest($1::bigint[]) with ordinality given (id, place)
order by given.place
