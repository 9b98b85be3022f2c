-- The newest customers first, as a page of v_customer_context is asked for: without an index every customer is looked up.
--
-- Locks: customers against writing while the index is built.

create index idx_customers_created_at on raw_ops.customers (created_at desc);
comment on view raw_ops.v_customer_context is
    'Full customer view. Ask for some: by id, email or shopify_customer_id, or the newest first by the page.';
