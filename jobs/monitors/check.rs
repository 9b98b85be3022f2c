//! What can be looked at. The names are the registry's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Webhooks become orders in time.
    OrderIngestionSlo,
    /// Mails and events go out.
    OutboxHealth,
    /// Products have stock, and batches agree with inventory.
    StockLevels,
    /// Laboratories answer in time.
    LabSla,
    /// The figures of the day, which are told each time.
    DailySnapshot,
    /// The value of what is on QA hold.
    WorkingCapital,
    /// Tickets are answered in time.
    SupportQueue,
}

impl Check {
    /// Every check.
    pub const ALL: [Self; 7] = [
        Self::OrderIngestionSlo,
        Self::OutboxHealth,
        Self::StockLevels,
        Self::LabSla,
        Self::DailySnapshot,
        Self::WorkingCapital,
        Self::SupportQueue,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OrderIngestionSlo => "order_ingestion_slo",
            Self::OutboxHealth => "outbox_health",
            Self::StockLevels => "stock_levels",
            Self::LabSla => "lab_sla",
            Self::DailySnapshot => "daily_snapshot",
            Self::WorkingCapital => "working_capital",
            Self::SupportQueue => "support_queue",
        }
    }

    /// The statement that looks; its one column is the answer.
    pub(super) const fn statement(self) -> &'static str {
        match self {
            Self::OrderIngestionSlo => "select raw_ops.fn_check_order_ingestion_slo_v2()",
            Self::OutboxHealth => "select raw_ops.fn_check_outbox_health_v2()",
            Self::StockLevels => "select raw_ops.fn_check_stock_levels_v2()",
            Self::LabSla => "select raw_ops.fn_check_lab_sla_v2()",
            Self::DailySnapshot => "select raw_ops.fn_daily_snapshot_v2()",
            Self::WorkingCapital => "select raw_ops.fn_check_working_capital_v2()",
            Self::SupportQueue => "select raw_ops.fn_check_support_queue_v2()",
        }
    }
}
