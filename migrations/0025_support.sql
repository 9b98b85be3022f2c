-- Support tickets, their conversations and the queue of drafts for people (registry 1.4).
--
-- Locks: creates new objects; share-row-exclusive on customers and orders for the foreign keys, for a moment.

create table raw_ops.support_tickets (
    id                        uuid primary key default gen_random_uuid(),
    customer_id               uuid references raw_ops.customers,
    customer_email            text not null,
    source                    text default 'email',
    subject                   text,
    body                      text,
    attachments               jsonb,
    ai_category               text,
    ai_confidence             numeric,
    ai_draft_response         text,
    ai_recommended_action     text,
    ai_escalation_reason      text,
    status                    text default 'pending'
        check (status in ('pending', 'in_progress', 'awaiting_customer', 'escalated', 'resolved', 'closed')),
    final_response            text,
    resolution_action         text,
    resolved_by               text,
    related_batch_code        text,
    related_order_id          uuid references raw_ops.orders on delete set null,
    created_at                timestamptz default now(),
    ai_processed_at           timestamptz,
    human_reviewed_at         timestamptz,
    resolved_at               timestamptz,
    response_sent_at          timestamptz,
    approved_by               text,
    approved_at               timestamptz,
    response_channel          text,
    edit_reason               text,
    original_draft            text,
    crisp_session_id          text,
    is_pre_purchase           boolean default true,
    assigned_to               text,
    response_method           text,
    human_edited              boolean default false,
    edit_distance             integer,
    actions_taken             jsonb default '[]',
    replacement_order_id      text,
    first_viewed_at           timestamptz,
    internal_notes            jsonb default '[]',
    outbound_reason           text,
    is_outbound               boolean default false,
    reply_count               integer default 0,
    last_customer_reply_at    timestamptz,
    resolution_type           text,
    resolution_category       text,
    resolution_summary        text,
    draft_usage               text,
    last_response_at          timestamptz,
    email_message_id          text,
    email_references          text,
    csat_survey_scheduled_for timestamptz,
    csat_survey_sent_at       timestamptz,
    csat_survey_token         text
);
comment on table raw_ops.support_tickets is 'Customer support requests';
comment on column raw_ops.support_tickets.ai_category is
    'A copy of the latest cs_agent_decisions row, with the other ai_ columns.';
comment on column raw_ops.support_tickets.email_message_id is
    'The Message-ID of the mail that opened the ticket, for threading.';
comment on column raw_ops.support_tickets.csat_survey_token is
    'Asked only of tickets with a customer: csat_responses needs one.';

create index idx_support_tickets_csat_ready on raw_ops.support_tickets (csat_survey_scheduled_for)
    where csat_survey_scheduled_for is not null and csat_survey_sent_at is null;
create index idx_support_tickets_customer on raw_ops.support_tickets (customer_id);
create index idx_support_tickets_outbound on raw_ops.support_tickets (is_outbound, status) where is_outbound;
create index idx_support_tickets_resolution_type on raw_ops.support_tickets (resolution_type)
    where resolution_type is not null;
create index idx_support_tickets_status_open on raw_ops.support_tickets (status)
    where status not in ('resolved', 'closed');
create index idx_tickets_ai_category on raw_ops.support_tickets (ai_category);
create index idx_tickets_batch on raw_ops.support_tickets (related_batch_code) where related_batch_code is not null;
create index idx_tickets_batch_recent on raw_ops.support_tickets (related_batch_code, created_at desc)
    where ai_category = 'quality';
create index idx_tickets_created on raw_ops.support_tickets (created_at desc);
create index idx_tickets_crisp_session on raw_ops.support_tickets (crisp_session_id)
    where crisp_session_id is not null;
create index idx_tickets_pending_queue on raw_ops.support_tickets (status, created_at) where status = 'pending';
create index idx_tickets_priority_queue on raw_ops.support_tickets (status, ai_escalation_reason, ai_confidence, created_at);
create index idx_tickets_status on raw_ops.support_tickets (status);
create index idx_tickets_status_created on raw_ops.support_tickets (status, created_at);

create table raw_ops.ticket_messages (
    id               uuid primary key default gen_random_uuid(),
    ticket_id        uuid not null references raw_ops.support_tickets,
    direction        text not null,
    sender           text not null,
    subject          text,
    body             text not null,
    delivery_id      text,
    created_at       timestamptz default now(),
    email_message_id text
);
comment on table raw_ops.ticket_messages is 'Full conversation history per ticket';
comment on column raw_ops.ticket_messages.delivery_id is
    'Customer.io''s id of an outbound mail; the Message-ID is learnt from the reply.';

create index idx_ticket_messages_created_at on raw_ops.ticket_messages (created_at desc);
create index idx_ticket_messages_ticket_id on raw_ops.ticket_messages (ticket_id);

create table raw_ops.ticket_notes (
    id         uuid primary key default gen_random_uuid(),
    ticket_id  uuid not null references raw_ops.support_tickets,
    note_type  text not null default 'internal',
    content    text not null,
    created_by text,
    created_at timestamptz default now()
);
comment on table raw_ops.ticket_notes is 'Internal agent notes on tickets';

create index idx_ticket_notes_ticket_id on raw_ops.ticket_notes (ticket_id);

create table raw_ops.cs_agent_decisions (
    id                    uuid primary key default gen_random_uuid(),
    ticket_id             uuid references raw_ops.support_tickets,
    category              text,
    confidence_score      numeric,
    reasoning             text,
    draft_response        text,
    proposed_actions      jsonb default '[]',
    escalation_reason     text,
    processed_at          timestamptz default now(),
    review_status         text default 'pending'
        check (review_status in ('pending', 'approved', 'edited', 'rejected', 'expired')),
    reviewed_at           timestamptz,
    reviewed_by           text,
    rejection_reason      text,
    rejection_feedback    text,
    created_at            timestamptz default now(),
    source                text default 'email',
    dedupe_key            text,
    execution_duration_ms integer,
    model_used            text,
    policy_gate_triggered boolean default false,
    policy_gate_code      text,
    constraint cs_agent_decisions_dedupe_key_unique unique (dedupe_key)
);
comment on table raw_ops.cs_agent_decisions is 'AI classification and draft tracking';
comment on column raw_ops.cs_agent_decisions.dedupe_key is
    'One triage a message: a second request with the same key returns the first result.';
comment on column raw_ops.cs_agent_decisions.review_status is
    'The queue of people: nothing is sent before one of them has approved it.';
comment on column raw_ops.cs_agent_decisions.policy_gate_code is 'Why a person must answer: health, refund, legal.';

create index idx_cs_agent_decisions_pending on raw_ops.cs_agent_decisions (review_status)
    where review_status = 'pending';
create index idx_cs_agent_decisions_source on raw_ops.cs_agent_decisions (source);
create index idx_cs_agent_decisions_ticket on raw_ops.cs_agent_decisions (ticket_id);

create table raw_ops.escalation_queue (
    id                       uuid primary key default gen_random_uuid(),
    created_at               timestamptz default now(),
    ticket_id                uuid not null references raw_ops.support_tickets,
    reason                   text not null,
    urgency                  text not null,
    agent_recommendation     text,
    context_summary          text,
    queued_at                timestamptz not null,
    position                 integer,
    processed_at             timestamptz,
    holding_response_sent    boolean default false,
    holding_response_sent_at timestamptz
);
comment on table raw_ops.escalation_queue is 'Tickets requiring human escalation';

create index idx_escalation_queue_pending on raw_ops.escalation_queue (queued_at) where processed_at is null;
create index idx_escalation_queue_urgency on raw_ops.escalation_queue (urgency, queued_at) where processed_at is null;

create table raw_ops.chat_sessions (
    id                uuid primary key default gen_random_uuid(),
    visitor_id        text not null,
    visitor_email     text,
    customer_id       uuid references raw_ops.customers,
    started_at        timestamptz default now(),
    last_message_at   timestamptz default now(),
    ended_at          timestamptz,
    entry_page        text,
    referrer          text,
    device_type       text,
    status            text default 'active' check (status in ('active', 'escalated', 'ended')),
    escalated_at      timestamptz,
    escalated_reason  text,
    support_ticket_id uuid references raw_ops.support_tickets,
    message_count     integer default 0,
    ai_message_count  integer default 0,
    created_at        timestamptz default now(),
    updated_at        timestamptz default now()
);
comment on table raw_ops.chat_sessions is 'Live chat session metadata';

create index idx_chat_sessions_status on raw_ops.chat_sessions (status);
create index idx_chat_sessions_visitor on raw_ops.chat_sessions (visitor_id);

create table raw_ops.chat_messages (
    id                   uuid primary key default gen_random_uuid(),
    session_id           uuid not null references raw_ops.chat_sessions on delete cascade,
    role                 text not null,
    content              text not null,
    ai_confidence        numeric,
    ai_model             text,
    tokens_used          integer,
    response_time_ms     integer,
    escalation_trigger   boolean default false,
    edited               boolean default false,
    created_at           timestamptz default now(),
    user_rating          text,
    user_rating_at       timestamptz,
    user_rating_feedback text
);
comment on table raw_ops.chat_messages is 'Live chat message history';

create index idx_chat_messages_rated on raw_ops.chat_messages (user_rating, created_at) where user_rating is not null;
create index idx_chat_messages_session on raw_ops.chat_messages (session_id, created_at);
