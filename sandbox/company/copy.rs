//! Rows into the database, one table after the other, parents before children.
//!
//! Many rows go by COPY. It costs 40 ms however few they are, because the driver sends the end of the rows apart and
//! TCP holds it back until the rows are acknowledged; so a few rows go as INSERT, those of many tables in one message.

use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::Error;
use super::book::Late;
use super::sheet::Sheet;

/// How rows meet those that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// They are new.
    Append,
    /// What is there under the same key stays.
    Keep,
    /// They are for an empty table.
    WhenEmpty,
    /// Units are added to those that are there.
    Add,
}

use Way::{Add, Append, Keep, WhenEmpty};

/// Every table that is filled, parents before children.
const TABLES: &[(&str, Way)] = &[
    ("products", Keep),
    ("formulations", WhenEmpty),
    ("inventory_planning_config", WhenEmpty),
    ("allocation_alert_config", WhenEmpty),
    ("subscription_config", WhenEmpty),
    ("partner_contacts", WhenEmpty),
    ("lab_pdf_patterns", WhenEmpty),
    ("courier_event_mapping", WhenEmpty),
    ("high_risk_postcodes", WhenEmpty),
    ("allowed_delivery_areas", WhenEmpty),
    ("ai_knowledge_sections", WhenEmpty),
    ("ai_prompt_templates", WhenEmpty),
    ("agents", WhenEmpty),
    ("ad_accounts", Keep),
    ("ad_campaigns", Keep),
    ("currency_rates", Keep),
    ("batches", Append),
    ("lab_results", Append),
    ("lab_result_samples", Append),
    ("batch_status_history", Append),
    ("manual_override_audit", Append),
    ("inventory", Append),
    ("inventory_on_hand", Add),
    ("inventory_movements", Append),
    ("proof_artifacts", Append),
    ("proof_jobs", Append),
    ("proof_page_events", Append),
    ("invoice_parsing_jobs", Append),
    ("customers", Append),
    ("feeding_plans", Append),
    ("calculator_discounts", Append),
    ("calculator_pets", Append),
    ("calculator_discount_usage", Append),
    ("portal_sessions", Append),
    ("customer_engagement_events", Append),
    ("customer_health_scores", Append),
    ("customer_interventions", Append),
    ("address_changes", Append),
    ("subscriptions", Append),
    ("subscription_events", Append),
    ("subscription_actions", Append),
    ("email_events", Append),
    ("seal_webhook_inbox", Append),
    ("referral_codes", Append),
    ("customer_credits", Append),
    ("referrals", Append),
    ("orders", Append),
    ("order_items", Append),
    ("allocations", Append),
    ("allocation_queue", Append),
    ("allocation_alert_history", Append),
    ("packing_instructions", Append),
    ("pack_quality_checks", Append),
    ("export_outbox", Append),
    ("dispatch_import_queue", Append),
    ("processed_3pl_files", Append),
    ("shipments", Append),
    ("stock_dispatches", Append),
    ("courier_events", Append),
    ("temperature_audits", Append),
    ("temperature_logger_data", Append),
    ("exceptions_queue", Append),
    ("billing_attempts", Append),
    ("payment_events", Append),
    ("customer_credit_applications", Append),
    ("customer_credit_events", Append),
    ("referral_events", Append),
    ("support_tickets", Append),
    ("ticket_messages", Append),
    ("ticket_notes", Append),
    ("escalation_queue", Append),
    ("cs_agent_decisions", Append),
    ("agent_executions", Append),
    ("agent_decisions", Append),
    ("agent_tool_calls", Append),
    ("ai_prompt_logs", Append),
    ("chat_sessions", Append),
    ("chat_messages", Append),
    ("csat_responses", Append),
    ("testimonials", Append),
    ("refunds", Append),
    ("replacement_requests", Append),
    ("order_notes", Append),
    ("outbox", Append),
    ("lifecycle_events", Append),
    ("webhook_inbox", Append),
    ("monitoring_runs", Append),
    ("alert_log", Append),
    ("ops_events", Append),
];

/// The tables that are filled.
pub fn tables() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|(table, _)| *table)
}

/// Rows of more bytes than this go by COPY.
const FEW: usize = 400_000;

/// Writes what waits. Returns the rows of each table.
pub async fn write(connection: &mut PgConnection, mut sheets: Vec<Sheet>) -> Result<Vec<(&'static str, u64)>, Error> {
    let place = |sheet: &Sheet| TABLES.iter().position(|(table, _)| *table == sheet.table).expect("every sheet is of a known table");
    sheets.sort_by_key(place);
    let mut written = Vec::with_capacity(sheets.len());
    let mut script = String::new();
    for sheet in sheets {
        let (table, way) = TABLES[place(&sheet)];
        let rows = match way {
            Append if sheet.text.len() > FEW => {
                run(connection, &mut script).await?;
                copy(connection, &sheet).await?
            }
            Append => {
                insert(&mut script, &format!("raw_ops.{table}"), &sheet);
                sheet.rows
            }
            Keep | WhenEmpty | Add => stage(connection, &mut script, &sheet, way).await?,
        };
        written.push((table, rows));
    }
    run(connection, &mut script).await?;
    Ok(written)
}

/// Writes the states that rows get once others are there.
pub async fn settle(connection: &mut PgConnection, late: &Late) -> Result<(), Error> {
    let (referrals, orders): (Vec<Uuid>, Vec<Uuid>) = late.referred.iter().copied().unzip();
    sqlx::query(include_str!("sql/join_referrals.sql")).bind(referrals).bind(orders).execute(&mut *connection).await?;
    sqlx::query(include_str!("sql/mark_paid.sql")).bind(&late.paid).execute(&mut *connection).await?;
    sqlx::query(include_str!("sql/mark_dispatched.sql")).bind(&late.dispatched).execute(connection).await?;
    Ok(())
}

/// Lets the planner know what came.
pub async fn analyze(connection: &mut PgConnection) -> Result<(), Error> {
    let names: Vec<String> = tables().map(|table| format!("raw_ops.{table}")).collect();
    sqlx::query(AssertSqlSafe(format!("analyze {}", names.join(", ")))).execute(connection).await?;
    Ok(())
}

async fn copy(connection: &mut PgConnection, sheet: &Sheet) -> Result<u64, Error> {
    let statement = format!("copy raw_ops.{} ({}) from stdin", sheet.table, sheet.columns.join(", "));
    let mut copying = connection.copy_in_raw(&statement).await?;
    copying.send(sheet.text.as_slice()).await?;
    Ok(copying.finish().await?)
}

/// Adds the statement that inserts the rows of a sheet. The escapes of COPY are those of literals that begin with E.
fn insert(script: &mut String, target: &str, sheet: &Sheet) {
    let text = std::str::from_utf8(&sheet.text).expect("fields are written as UTF-8");
    script.extend(["insert into ", target, " (", &sheet.columns.join(", "), ") values"]);
    for (place, line) in text.lines().enumerate() {
        script.push_str(if place == 0 { " (" } else { ", (" });
        for (place, field) in line.split('\t').enumerate() {
            script.push_str(if place == 0 { "" } else { ", " });
            if field == "\\N" {
                script.push_str("null");
            } else {
                script.push_str("E'");
                script.push_str(&field.replace('\'', "''"));
                script.push('\'');
            }
        }
        script.push(')');
    }
    script.push_str(";\n");
}

/// Runs the statements that were gathered.
async fn run(connection: &mut PgConnection, script: &mut String) -> Result<(), Error> {
    if !script.is_empty() {
        sqlx::raw_sql(AssertSqlSafe(std::mem::take(script))).execute(connection).await?;
    }
    Ok(())
}

/// Puts rows into a table beside, then takes over what may be.
async fn stage(connection: &mut PgConnection, script: &mut String, sheet: &Sheet, way: Way) -> Result<u64, Error> {
    let (table, columns) = (sheet.table, sheet.columns.join(", "));
    script.extend(["create temp table seed_rows on commit drop as select ", &columns, " from raw_ops.", table, " with no data;\n"]);
    insert(script, "seed_rows", sheet);
    run(connection, script).await?;
    let clause = match way {
        WhenEmpty => format!("where not exists (select from raw_ops.{table})"),
        Add => "on conflict (sku) do update set qty_available = inventory_on_hand.qty_available + excluded.qty_available, \
                updated_at = excluded.updated_at"
            .to_string(),
        Append | Keep => "on conflict do nothing".to_string(),
    };
    let take = format!("insert into raw_ops.{table} ({columns}) select {columns} from seed_rows {clause}");
    let rows = sqlx::query(AssertSqlSafe(take)).execute(connection).await?.rows_affected();
    script.push_str("drop table seed_rows;\n");
    Ok(rows)
}
