-- What a run needs in its database besides the product's own: a place for effects, and the policy that the model knows.
create schema ordeal;
create table ordeal.effect (
    program text not null,
    act integer not null,
    job_id bigint not null,
    attempt integer not null,
    last boolean not null,
    at timestamptz not null default clock_timestamp()
);
create index on ordeal.effect (program);
