-- Files of the packer that are fetched from his drop, besides those that his adapter posts.
--
-- Locks: none.

-- Of these hashes, in hexadecimal digits, those whose file was never received.
create function raw_ops.unknown_dispatch_files(hashes text[]) returns setof text
language sql stable
as $$
    select distinct h.hash from unnest(hashes) h (hash)
    where not exists (select from raw_ops.processed_3pl_files f where f.file_hash = h.hash)
      and not exists (
          select from raw_ops.webhook_inbox i where i.source = 'packer' and i.shop = '' and i.webhook_id = 'sha256:' || h.hash)
$$;
