-- The schema of the business, and the types that its tables share.
--
-- The values of an enum stand in the order in which an order, batch or shipment lives through them; new values
-- are added by `alter type ... add value`, never by replacing a type.
-- Locks: creates new objects only. citext and pg_trgm are trusted extensions: the database's owner may create them.

create schema raw_ops;
comment on schema raw_ops is 'The operations of Protocol Raw: every table of the component registry.';

create extension if not exists citext;
create extension if not exists pg_trgm;

-- Two tables of the registry default to this name; it comes without the extension uuid-ossp.
create function raw_ops.uuid_generate_v4() returns uuid
language sql volatile parallel safe
as 'select gen_random_uuid()';

create type raw_ops.order_status as enum (
    'PENDING', 'PAID', 'ALLOCATED', 'PARTIALLY_ALLOCATED', 'EXPORTED', 'DISPATCHED', 'DELIVERED', 'CANCELLED', 'REFUNDED'
);
create type raw_ops.batch_status as enum ('QA_HOLD', 'RELEASED', 'REJECTED', 'RECALLED', 'DEPLETED');
create type raw_ops.shipment_status as enum (
    'CREATED', 'DISPATCHED', 'IN_TRANSIT', 'OUT_FOR_DELIVERY', 'DELIVERED', 'EXCEPTION', 'RETURNED'
);
create type raw_ops.lab_outcome as enum ('PASS', 'FAIL', 'REVIEW');
