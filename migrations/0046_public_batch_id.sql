-- The name under which the public sees a batch.
--
-- A batch code is easy to guess, and so would be any digest of it: the public id is an HMAC-SHA256 of the code under a
-- key that only this database has, cut to 96 bits. The key is made here, differs between databases, and goes with the
-- data: whoever replaces it changes nothing about ids that exist. sha256() is part of PostgreSQL, HMAC is built on it
-- because the extension pgcrypto may be absent.
-- Locks: share-row-exclusive on batches, for a moment.

create table raw_ops.server_key (
    name text primary key,
    key bytea not null check (length(key) >= 32),
    created_at timestamptz not null default now()
);
comment on table raw_ops.server_key is 'Keys that never leave the database. Read by functions that run as their owner, and granted to nobody.';
revoke all on raw_ops.server_key from public;

-- 244 random bits each, through a digest that spreads them.
insert into raw_ops.server_key (name, key)
values ('public_batch_id', sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

-- Every byte of a block, xor `mask`.
create function raw_ops.xor_block(block bytea, mask integer) returns bytea
language plpgsql immutable parallel safe
as $$
begin
    for i in 0..length(block) - 1 loop
        block := set_byte(block, i, get_byte(block, i) # mask);
    end loop;
    return block;
end
$$;

-- HMAC-SHA256 (RFC 2104).
create function raw_ops.hmac_sha256(message bytea, key bytea) returns bytea
language plpgsql immutable parallel safe
as $$
declare
    block bytea := case when length(key) > 64 then sha256(key) else key end;
begin
    block := block || decode(repeat('00', 64 - length(block)), 'hex');
    return sha256(raw_ops.xor_block(block, 92) || sha256(raw_ops.xor_block(block, 54) || message));
end
$$;

-- The public id of a batch code: 24 hexadecimal digits, always the same for one code and key.
create function raw_ops.generate_public_batch_id(batch_code text) returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    secret bytea;
begin
    if coalesce(btrim(batch_code), '') = '' then
        raise exception 'a public batch id needs a batch code' using errcode = '22023';
    end if;
    select k.key into secret from raw_ops.server_key k where k.name = 'public_batch_id';
    if secret is null then
        raise exception 'the key of public batch ids is missing: %, or insert one with 32 random bytes',
            'restore the row public_batch_id of raw_ops.server_key' using errcode = '55000';
    end if;
    return encode(substr(raw_ops.hmac_sha256(convert_to(batch_code, 'UTF8'), secret), 1, 12), 'hex');
end
$$;
-- Who may call it can look for codes.
revoke execute on function raw_ops.generate_public_batch_id(text) from public;

-- A net: whoever makes a batch names it. A batch that comes without a public id gets one.
create function raw_ops.set_public_batch_id() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    new.public_batch_id := raw_ops.generate_public_batch_id(new.batch_code);
    return new;
end
$$;
revoke execute on function raw_ops.set_public_batch_id() from public;

create trigger trigger_set_public_batch_id
before insert on raw_ops.batches
for each row when (new.public_batch_id is null)
execute function raw_ops.set_public_batch_id();
