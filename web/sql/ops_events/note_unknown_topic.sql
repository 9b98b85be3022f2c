-- Note inbox row $1 of topic $2, which nobody reads: once a topic and day.
-- Locks: the inserted row. Index: idx_ops_events_kind_created.
-- Caller: webhooks/shopify/inbox.rs
insert into raw_ops.ops_events (entity_type, entity_id, kind, message, meta, source_system, source_id)
select
    'WEBHOOK', $1, 'WEBHOOK_UNKNOWN_TOPIC', 'Shopify sent topic ' || $2 || ', which no job reads',
    jsonb_build_object('topic', $2), 'shopify', $1
where not exists (
    select from raw_ops.ops_events e
    where e.kind = 'WEBHOOK_UNKNOWN_TOPIC' and e.meta ->> 'topic' = $2
      and e.created_at > (select engine.now()) - interval '1 day'
)
