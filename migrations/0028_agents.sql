-- The support agent's runs, decisions and calls of tools (registry 1.5).
--
-- agent_* is the log of runs; cs_agent_decisions is the queue for people.
-- Locks: creates new objects; share-row-exclusive on support_tickets for the foreign keys, for a moment.

create table raw_ops.agents (
    id         uuid primary key default gen_random_uuid(),
    name       text not null,
    email      text not null,
    role       text not null default 'agent',
    is_active  boolean not null default true,
    created_at timestamptz not null default now(),
    constraint agents_email_key unique (email)
);
comment on table raw_ops.agents is 'Registered AI agent definitions';

create index idx_agents_active on raw_ops.agents (is_active) where is_active;

create table raw_ops.agent_executions (
    id                       uuid primary key default gen_random_uuid(),
    created_at               timestamptz default now(),
    ticket_id                uuid references raw_ops.support_tickets,
    trigger_source           text not null,
    model_used               text default 'claude-sonnet-4-20250514',
    started_at               timestamptz not null,
    completed_at             timestamptz,
    duration_ms              integer,
    input_tokens             integer,
    output_tokens            integer,
    total_tokens             integer,
    outcome                  text check (outcome = lower(outcome)),
    confidence_score         numeric,
    tools_used               text[],
    safety_filter_triggered  boolean default false,
    safety_filter_violations text[],
    error_message            text,
    error_type               text,
    dedupe_key               text,
    constraint agent_executions_dedupe_key_key unique (dedupe_key)
);
comment on table raw_ops.agent_executions is 'AI agent execution runs';
comment on column raw_ops.agent_executions.model_used is
    'The code names the model that the settings give; the default is the registry''s and out of service.';

create index idx_agent_executions_created on raw_ops.agent_executions (created_at desc);
create index idx_agent_executions_dedupe_key on raw_ops.agent_executions (dedupe_key) where dedupe_key is not null;
create index idx_agent_executions_escalated_recent on raw_ops.agent_executions (created_at desc)
    where outcome = 'escalated';
create index idx_agent_executions_outcome on raw_ops.agent_executions (outcome);
create index idx_agent_executions_safety on raw_ops.agent_executions (safety_filter_triggered)
    where safety_filter_triggered;
create index idx_agent_executions_ticket on raw_ops.agent_executions (ticket_id);

create table raw_ops.agent_decisions (
    id                   uuid primary key default gen_random_uuid(),
    created_at           timestamptz default now(),
    execution_id         uuid not null references raw_ops.agent_executions,
    ticket_id            uuid references raw_ops.support_tickets,
    decision_type        text not null,
    decision_rationale   text,
    confidence_score     numeric,
    escalation_reason    text,
    agent_recommendation text,
    human_reviewed_at    timestamptz,
    human_reviewer       text,
    human_agreed         boolean,
    human_feedback       text,
    constraint agent_decisions_execution_id_unique unique (execution_id)
);
comment on table raw_ops.agent_decisions is 'AI agent decision records';

create index idx_agent_decisions_confidence on raw_ops.agent_decisions (confidence_score);
create index idx_agent_decisions_reviewed on raw_ops.agent_decisions (human_reviewed_at)
    where human_reviewed_at is not null;
create index idx_agent_decisions_type on raw_ops.agent_decisions (decision_type);

create table raw_ops.agent_tool_calls (
    id            uuid primary key default gen_random_uuid(),
    created_at    timestamptz default now(),
    execution_id  uuid not null references raw_ops.agent_executions,
    tool_name     text not null,
    tool_input    jsonb not null,
    tool_output   jsonb,
    started_at    timestamptz not null,
    completed_at  timestamptz,
    duration_ms   integer,
    success       boolean,
    error_message text
);
comment on table raw_ops.agent_tool_calls is 'AI agent tool call audit log';

create index idx_agent_tool_calls_created on raw_ops.agent_tool_calls (created_at desc);
create index idx_agent_tool_calls_execution on raw_ops.agent_tool_calls (execution_id);
create index idx_agent_tool_calls_tool on raw_ops.agent_tool_calls (tool_name);
