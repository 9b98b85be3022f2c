-- The ids of products by sku, in the order of $1.
-- Caller: company/mod.rs
select p.id
from unnest($1::text[]) with ordinality w (sku, place)
join raw_ops.products p on p.sku = w.sku
order by w.place
