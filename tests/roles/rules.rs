//! What each group role may do, object by object: said here a second time, and compared with what the grants give.
//!
//! Letters: s(elect), i(nsert), u(pdate), d(elete); truncate is nobody's but the owner's. Every table, view and function of
//! the schemas stands in one line; one without a rule fails the test, and so does a rule without an object.

/// The roles between the owner, who may do everything, and nobody, who may do nothing.
pub const ROLES: [&str; 4] = ["rawops_runtime", "rawops_ingest", "rawops_operator", "rawops_reader"];

/// What the roles may do with these tables, in the order of [`ROLES`].
pub struct Tables(pub &'static str, pub [&'static str; 4]);

/// Tables and views.
pub const TABLES: &[Tables] = &[
    // The ledger is written once.
    Tables("engine.job engine.attempt engine.lane", ["si", "", "s", "s"]),
    Tables("engine.job_kept engine.attempt_kept engine.job_state engine.place", ["s", "", "s", "s"]),
    // Places and leases. Row locks ask for u.
    Tables(
        "engine.ready engine.scheduled engine.waiting engine.slot engine.permit engine.pace engine.claim engine.worker engine.enqueue_key engine.unique_key",
        ["siud", "", "s", "s"],
    ),
    Tables("engine.idle", ["sid", "", "s", "s"]),
    Tables("engine.cancel_request", ["sd", "", "s", "s"]),
    // Written by whoever records a failure, taken away by whoever tells people.
    Tables("engine.notice", ["siud", "", "s", "s"]),
    Tables("engine.leader engine.lookout engine.watch engine.duty", ["siu", "", "s", "s"]),
    Tables("engine.unique_period", ["sud", "", "s", "s"]),
    // What recurs: the scheduler notes how far it is, operators change what the program says.
    Tables("engine.schedule", ["siu", "", "siu", "s"]),
    Tables("engine.occurrence", ["sid", "", "s", "s"]),
    // Written by the triggers of the policy, for whoever edits it.
    Tables("engine.retry_policy_history", ["s", "", "si", "s"]),
    // Workflows; events are made by engine.emit alone.
    Tables("engine.step engine.topic engine.event_wait engine.parked", ["siud", "", "s", "s"]),
    Tables("engine.restart engine.workflow_state", ["s", "", "s", "s"]),
    Tables("engine.event", ["sud", "", "s", "s"]),
    Tables("engine.child engine.child_end", ["sid", "", "s", "s"]),
    Tables("engine.compensation", ["siud", "", "s", "s"]),
    Tables("engine.aftermath", ["si", "", "s", "s"]),
    // What jobs say of themselves.
    Tables("engine.progress engine.log_line", ["siud", "", "s", "s"]),
    // The runtime looks tokens up and notes their use; operators make and end them.
    Tables("raw_ops.api_tokens", ["su", "", "siu", ""]),
    // What operators decide, and the program before them.
    Tables("engine.pause engine.paused", ["s", "", "s", "s"]),
    Tables("engine.limit_setting", ["siu", "", "siud", "s"]),
    Tables("engine.kind", ["siu", "", "s", "s"]),
    // Outside systems: judged by workers. Operators change the rule, column by column, and hold one by engine.hold_breaker.
    Tables("engine.breaker", ["siu", "", "s", "s"]),
    Tables("engine.breaker_kind engine.breaker_count", ["siud", "", "s", "s"]),
    Tables("engine.barred", ["s", "", "s", "s"]),
    // What operators decide.
    Tables("engine.queue engine.retry_override engine.retry_config", ["s", "", "siud", "s"]),
    Tables("raw_ops.retry_config", ["s", "", "siud", "s"]),
    Tables("engine.dead_letter_queue", ["si", "", "s", "s"]),
    Tables("raw_ops.dead_letter_queue", ["s", "", "s", "s"]),
    // Figures without the jobs behind them, for the /metrics of the HTTP process.
    Tables(
        "engine.queue_figures engine.attempt_figures engine.place_figures engine.duty_health engine.breaker_figures",
        ["s", "s", "s", "s"],
    ),
    Tables("engine.retention", ["s", "", "su", "s"]),
    // Written by the functions that measure.
    Tables("engine.lane_figures engine.measured engine.attempt_minute", ["s", "", "s", "s"]),
    Tables("raw_ops.webhook_inbox raw_ops.seal_webhook_inbox", ["siud", "i", "s", "s"]),
    // What lets its bearer act as a customer.
    Tables("raw_ops.portal_sessions raw_ops.calculator_tokens", ["siud", "", "", ""]),
    // Keys that never leave the database.
    Tables("raw_ops.server_key", ["", "", "", ""]),
    // Written by the triggers of the tables it tells of.
    Tables("raw_ops.customer_figures raw_ops.customer_figures_due", ["s", "", "s", "s"]),
    // Audit trails.
    Tables("raw_ops.batch_status_history raw_ops.inventory_movements raw_ops.manual_override_audit", ["si", "", "s", "s"]),
    // The business.
    Tables(
        "raw_ops.ad_accounts raw_ops.ad_campaigns raw_ops.address_changes raw_ops.agent_decisions raw_ops.agent_executions \
         raw_ops.agent_tool_calls raw_ops.agents raw_ops.ai_knowledge_sections raw_ops.ai_prompt_logs raw_ops.ai_prompt_templates \
         raw_ops.alert_log raw_ops.allocation_alert_config raw_ops.allocation_alert_history raw_ops.allocation_queue \
         raw_ops.allocations raw_ops.allowed_delivery_areas raw_ops.batches raw_ops.billing_attempts \
         raw_ops.calculator_discount_usage raw_ops.calculator_discounts raw_ops.calculator_pets raw_ops.chat_messages \
         raw_ops.chat_sessions raw_ops.config raw_ops.courier_event_mapping raw_ops.courier_events raw_ops.cron_jobs_metadata \
         raw_ops.cs_agent_decisions raw_ops.csat_responses raw_ops.currency_rates raw_ops.customer_credit_applications \
         raw_ops.customer_credit_events raw_ops.customer_credits raw_ops.customer_engagement_events raw_ops.customer_health_scores \
         raw_ops.customer_interventions raw_ops.customers raw_ops.delivery_reports raw_ops.dispatch_import_queue raw_ops.email_events \
         raw_ops.escalation_queue raw_ops.exceptions_queue raw_ops.export_outbox raw_ops.feeding_plans raw_ops.formulations \
         raw_ops.high_risk_postcodes raw_ops.inventory raw_ops.inventory_on_hand raw_ops.inventory_planning_config \
         raw_ops.invoice_parsing_jobs raw_ops.lab_pdf_patterns raw_ops.lab_result_history raw_ops.lab_result_samples \
         raw_ops.lab_results raw_ops.lifecycle_events raw_ops.monitoring_runs raw_ops.ops_events raw_ops.order_items \
         raw_ops.order_notes raw_ops.orders raw_ops.outbox raw_ops.pack_quality_checks raw_ops.packing_instructions \
         raw_ops.partner_contacts raw_ops.payment_events raw_ops.privacy_requests raw_ops.processed_3pl_files raw_ops.products raw_ops.proof_artifacts \
         raw_ops.proof_jobs raw_ops.proof_page_events raw_ops.referral_codes raw_ops.referral_events raw_ops.referral_rewards \
         raw_ops.referrals raw_ops.refunds raw_ops.replacement_requests raw_ops.shipments raw_ops.soft_reservations raw_ops.stock_dispatches \
         raw_ops.subscription_actions raw_ops.subscription_config raw_ops.subscription_events raw_ops.subscriptions \
         raw_ops.support_tickets raw_ops.system_config raw_ops.temperature_audits raw_ops.temperature_logger_data \
         raw_ops.testimonials raw_ops.ticket_messages raw_ops.ticket_notes",
        ["siud", "", "s", "s"],
    ),
    // What the business looks at.
    Tables(
        "raw_ops.alert_retry_queue_backup raw_ops.alert_slow_processing raw_ops.v_customer_context \
         raw_ops.v_daily_snapshot_health raw_ops.v_error_summary raw_ops.v_inventory_status raw_ops.v_lab_sla_tracking \
         raw_ops.v_outbox_health raw_ops.v_pack_queue raw_ops.v_released_batches_verified raw_ops.v_retry_queue_depth \
         raw_ops.v_support_queue raw_ops.v_webhook_health raw_ops.v_working_capital_metrics",
        ["s", "", "s", "s"],
    ),
];

/// Single columns that a role may update where it may not update the table.
pub const COLUMNS: &[(&str, &str, &str)] = &[
    ("rawops_operator", "engine.lane", "paused"),
    ("rawops_operator", "engine.breaker", "share"),
    ("rawops_operator", "engine.breaker", "at_least"),
    ("rawops_operator", "engine.breaker", "window_ms"),
    ("rawops_operator", "engine.breaker", "categories"),
    ("rawops_operator", "engine.breaker", "cooldown_ms"),
    ("rawops_operator", "engine.breaker", "cooldown_most_ms"),
    ("rawops_operator", "engine.breaker", "changed_at"),
    ("rawops_operator", "engine.breaker", "changed_by"),
];

/// Who may call these functions. No function may be called by everybody.
pub struct Functions(pub &'static str, pub &'static [&'static str]);

/// Functions, by name without arguments; but for those that triggers call, which nobody may hang on a table of his own.
pub const FUNCTIONS: &[Functions] = &[
    Functions("engine.now", &["rawops_runtime", "rawops_ingest", "rawops_operator", "rawops_reader"]),
    Functions("engine.await_standby", &["rawops_runtime", "rawops_ingest", "rawops_operator"]),
    Functions(
        "engine.enqueue engine.enqueue_each engine.give_back engine.slots_held engine.take_back_held engine.key_holds_back \
         engine.put_in_place engine.position_of_return engine.head_of_line engine.hold_in_place engine.lane_of engine.wake engine.extend_partitions",
        &["rawops_runtime"],
    ),
    Functions(
        "engine.roll_up_attempts engine.kept_since engine.drop_expired_partition engine.forget_ended engine.forget_letters",
        &["rawops_runtime"],
    ),
    Functions("engine.measure_figures", &["rawops_runtime", "rawops_ingest"]),
    Functions("engine.count_scheduled", &["rawops_runtime"]),
    Functions("engine.estimate_jobs", &["rawops_runtime"]),
    Functions("engine.count_permits engine.give_back_kept", &["rawops_runtime", "rawops_operator"]),
    Functions("engine.unpark engine.settle_aftermath", &["rawops_runtime"]),
    Functions("engine.emit", &["rawops_runtime", "rawops_ingest", "rawops_operator"]),
    Functions("engine.restart_workflow", &["rawops_operator"]),
    Functions(
        "engine.ask_cancel engine.cancel_waiting engine.requeue_letter engine.requeue_letters engine.discard_letter engine.pause_work \
         engine.resume_work engine.hold_breaker engine.run_schedule",
        &["rawops_operator"],
    ),
    Functions(
        "engine.settle_cancels engine.args_key engine.trace_parent engine.is_running engine.hold_unique_key engine.collapse_snoozes",
        &["rawops_runtime"],
    ),
    Functions("raw_ops.execute_manual_inventory_adjustment", &["rawops_operator"]),
    Functions("raw_ops.release_batch", &["rawops_runtime", "rawops_operator"]),
    Functions("raw_ops.retry_failed_webhooks raw_ops.sync_address_change", &["rawops_runtime", "rawops_ingest", "rawops_operator"]),
    Functions(
        "engine.limit_of_key engine.keys_are_alike engine.rate_step engine.rate_owed engine.rate_left engine.rate_after engine.rate_wait engine.checked_name engine.error_categories engine.retry_policy_fault",
        &["rawops_runtime", "rawops_operator", "rawops_reader"],
    ),
    Functions("engine.stop_children engine.enqueue_unwind engine.inherit_steps", &[]),
    Functions(
        "engine.keep_retry_policy engine.lock_letter engine.retire_partition engine.forget_ended_in engine.is_wanted engine.take_over_unique_key",
        &[],
    ),
    Functions("raw_ops.order_figures raw_ops.subscription_figures raw_ops.shipment_figures", &["rawops_runtime"]),
    Functions("raw_ops.call_customer_figures raw_ops.lock_customer_figures raw_ops.refresh_customer_figures", &[]),
    Functions(
        "raw_ops.store_shopify_webhooks raw_ops.store_seal_webhook raw_ops.store_courier_event raw_ops.store_temperature_log raw_ops.take_delivery_report",
        &["rawops_ingest"],
    ),
    Functions("raw_ops.raise_alert raw_ops.clear_alert", &["rawops_runtime", "rawops_ingest", "rawops_operator"]),
    Functions(
        "raw_ops.resolve_message raw_ops.resolve_export raw_ops.close_privacy_request raw_ops.call_off_address_change \
         raw_ops.resolve_stopped_order",
        &["rawops_operator"],
    ),
    // Messages out.
    Functions(
        "engine.take_notices raw_ops.alert_channel raw_ops.alert_window raw_ops.apply_report raw_ops.begin_message \
         raw_ops.clear_failures raw_ops.mail_of_report raw_ops.mark_sent raw_ops.note_email_event raw_ops.release_alerts \
         raw_ops.settle_alert raw_ops.settle_event raw_ops.settle_message raw_ops.severity_rank raw_ops.sweep_messages \
         raw_ops.warn_of_unknown_messages",
        &["rawops_runtime"],
    ),
    // What a dashboard asks, and what that asks.
    Functions(
        "raw_ops.first_expiry raw_ops.free_batches raw_ops.get_current_inventory_for_reconciliation \
         raw_ops.get_daily_snapshot raw_ops.get_low_stock_alerts raw_ops.open_work raw_ops.order_needs \
         raw_ops.orders_of_day raw_ops.shipments_of_day raw_ops.threshold raw_ops.today",
        &["rawops_runtime", "rawops_operator", "rawops_reader"],
    ),
    // Webhooks of Shopify, besides orders.
    Functions(
        "raw_ops.advance_shipment raw_ops.apply_shopify_customer raw_ops.cancelled_units raw_ops.count_fulfilled \
         raw_ops.follow_fulfillment raw_ops.free_line raw_ops.lock_shopify_order raw_ops.next_shipment_status \
         raw_ops.note_unknown_topic raw_ops.privacy_task raw_ops.process_customer_webhook_txn \
         raw_ops.process_fulfillment_webhook_txn raw_ops.process_privacy_webhook_txn raw_ops.process_refund_webhook_txn \
         raw_ops.record_shopify_refund raw_ops.remind_of_privacy_request raw_ops.settle_refunded_order raw_ops.settle_webhook \
         raw_ops.shopify_cancelled_lines raw_ops.shopify_fulfillments raw_ops.shopify_parcel_status \
         raw_ops.shrink_refunded_lines raw_ops.webhook_kind",
        &["rawops_runtime"],
    ),
    // Webhooks of Seal.
    Functions(
        "raw_ops.attempt_rank raw_ops.log_seal_event raw_ops.process_seal_webhook_txn raw_ops.save_billing_attempt \
         raw_ops.save_billing_attempts raw_ops.save_seal_subscription raw_ops.seal_age raw_ops.seal_attempt_status \
         raw_ops.seal_customer raw_ops.seal_days raw_ops.seal_event raw_ops.seal_time raw_ops.settle_subscription_payment",
        &["rawops_runtime"],
    ),
    // Scans of parcels.
    Functions(
        "raw_ops.courier_time raw_ops.courier_word raw_ops.handle_courier_event raw_ops.mail_of_dispatch raw_ops.has_arrived_unread raw_ops.readable_courier_time raw_ops.mail_of_scan raw_ops.audit_temperature raw_ops.parcel_of_log raw_ops.save_temperature_log raw_ops.tell_of_breach raw_ops.note_unknown_code raw_ops.open_parcel_case raw_ops.parcel_of raw_ops.parcel_status \
         raw_ops.process_courier_event_txn raw_ops.seal_webhooks_to_retry",
        &["rawops_runtime"],
    ),
    // Changes of address.
    Functions(
        "raw_ops.address_of raw_ops.address_state raw_ops.addresses_before raw_ops.awaits_address_sync raw_ops.begin_address_sync \
         raw_ops.is_address raw_ops.set_address_state raw_ops.settle_address_sync raw_ops.is_address_forgotten \
         raw_ops.sweep_address_changes",
        &["rawops_runtime"],
    ),
    // What webhooks missed.
    Functions(
        "raw_ops.orders_behind raw_ops.orders_reconciled_until raw_ops.settle_reconciliation raw_ops.store_missed_order raw_ops.store_untold_parts",
        &["rawops_runtime"],
    ),
    // Stock that is held for unpaid orders.
    Functions(
        "raw_ops.drop_holds raw_ops.give_up_holds raw_ops.held_products raw_ops.hold_stock raw_ops.hold_units raw_ops.release_expired_hold",
        &["rawops_runtime"],
    ),
    // Packing.
    Functions(
        "raw_ops.hold_parcel raw_ops.instruction_fits raw_ops.orders_to_pack raw_ops.pack_check raw_ops.packing_rules \
         raw_ops.parcel_to_pack raw_ops.put_packing_instruction raw_ops.settle_pack_check",
        &["rawops_runtime"],
    ),
    // Orders for the packer, and what he has sent: posted by his adapter, or fetched.
    Functions("raw_ops.store_dispatch_file", &["rawops_runtime", "rawops_ingest"]),
    Functions(
        "raw_ops.begin_export raw_ops.dispatch_parcel raw_ops.hold_from_export raw_ops.keep_dispatch_file raw_ops.keep_export \
         raw_ops.lines_to_export raw_ops.next_export_batch raw_ops.only_batch_of raw_ops.process_dispatch_txn raw_ops.settle_export \
         raw_ops.unknown_dispatch_files raw_ops.warn_of_dispatch_rows raw_ops.stop_order raw_ops.is_ended_at_shopify",
        &["rawops_runtime"],
    ),
    // The work of the business.
    Functions(
        "raw_ops.allocate_order_to_batches raw_ops.allocation_figures raw_ops.allocation_outcome raw_ops.apply_shopify_order \
         raw_ops.check_shopify_order raw_ops.complaints raw_ops.cosine_distance raw_ops.dispatch_from_batch \
         raw_ops.dispatch_stock raw_ops.enqueue_allocation raw_ops.fn_check_lab_sla_v2 \
         raw_ops.fn_check_order_ingestion_slo_v2 raw_ops.fn_check_outbox_health_v2 raw_ops.fn_check_stock_levels_v2 \
         raw_ops.fn_check_support_queue_v2 raw_ops.fn_check_working_capital_v2 raw_ops.fn_daily_snapshot_v2 \
         raw_ops.free_allocations raw_ops.generate_public_batch_id raw_ops.hmac_sha256 raw_ops.is_seeding \
         raw_ops.lab_result_refusal raw_ops.lab_samples_refusal raw_ops.lock_products raw_ops.log_allocation \
         raw_ops.log_customer_conflict raw_ops.log_event raw_ops.log_order_once raw_ops.minutes_since \
         raw_ops.missing_stock raw_ops.monitor_answer raw_ops.move_stock raw_ops.nearest_knowledge \
         raw_ops.next_order_status raw_ops.open_allocations raw_ops.process_order_webhook_txn raw_ops.record_release \
         raw_ops.refresh_inventory raw_ops.refresh_on_hand raw_ops.release_refusal raw_ops.request_allocation \
         raw_ops.reserve_for_order raw_ops.reserve_stock raw_ops.save_shopify_customer raw_ops.save_shopify_items \
         raw_ops.has_ended_late raw_ops.tell_of_changed_lines raw_ops.tell_of_late_change raw_ops.tell_of_late_end raw_ops.held_units raw_ops.wake_for_freed \
         raw_ops.free_units raw_ops.owed_to_older raw_ops.leaves_stock_to_older \
         raw_ops.save_shopify_order raw_ops.set_allocation_status raw_ops.settle_allocation_queue \
         raw_ops.settle_shopify_items raw_ops.shopify_customer_id raw_ops.shopify_fulfilled_qty \
         raw_ops.shopify_is_subscription raw_ops.shopify_item_changes raw_ops.shopify_lines_left raw_ops.lines_agreed_at \
         raw_ops.settle_changed_lines raw_ops.shopify_wants_more raw_ops.shopify_line_net \
         raw_ops.shopify_line_vat_rate raw_ops.shopify_list raw_ops.shopify_live_lines raw_ops.shopify_marketing \
         raw_ops.shopify_named_value raw_ops.shopify_names_tax raw_ops.shopify_notes raw_ops.shopify_object \
         raw_ops.shopify_order_money raw_ops.shopify_order_status raw_ops.shopify_ship_to raw_ops.shopify_tags \
         raw_ops.shopify_tax raw_ops.shopify_text raw_ops.shopify_unit_price_ex_vat raw_ops.shopify_utm \
         raw_ops.stock_drift raw_ops.uuid_generate_v4 raw_ops.vat_standard_rate raw_ops.wake_waiting_orders raw_ops.watch_allocation_queue raw_ops.webhooks_to_retry raw_ops.may_come_right \
         raw_ops.whole_number raw_ops.xor_block",
        &["rawops_runtime"],
    ),
];

/// What the roles may do with any sequence: look at it, take from it, set it.
pub const SEQUENCES: [&str; 4] = ["st", "", "s", "s"];

/// What a role may do with a table; `None` when no rule names the table.
pub fn of_table(role: &str, table: &str) -> Option<&'static str> {
    let found = TABLES.iter().find(|rule| rule.0.split_whitespace().any(|name| name == table))?;
    Some(of(role, found.1))
}

/// Whether a role may call a function; `None` when no rule names the function.
pub fn of_function(role: &str, function: &str) -> Option<bool> {
    let found = FUNCTIONS.iter().find(|rule| rule.0.split_whitespace().any(|name| name == function))?;
    Some(found.1.contains(&role))
}

/// The role's entry in a row of rules; nothing for nobody.
pub fn of(role: &str, row: [&'static str; 4]) -> &'static str {
    ROLES.iter().position(|known| *known == role).map_or("", |index| row[index])
}
