//! What the support agent made of a ticket, and the log of its run.

use chrono::{DateTime, Duration, Utc};
use rand::RngExt;
use serde_json::json;
use uuid::Uuid;

use super::book::Book;
use super::draws::Theme;
use super::sheet::{Thousandths, row};
use super::tickets::{Case, message_id, word};

/// The model that drafts.
pub const MODEL: &str = "claude-sonnet-4-6";

impl Book<'_> {
    /// What the agent made of the ticket, and the log of its run.
    pub fn drafting(&mut self, case: &Case<'_>) {
        let mut random = self.stream(Theme::Mail, case.number);
        let took = random.random_range(2_400..9_800);
        let (read, wrote) = (random.random_range(2_100..5_200), random.random_range(160..420));
        let began = case.ticket.opened.max(case.drafted - Duration::milliseconds(took));
        let execution = self.id("agent_executions", case.number);
        row!(self.sheets, "cs_agent_decisions", {
            id: self.id("cs_agent_decisions", case.number),
            ticket_id: case.id,
            category: case.topic.category,
            confidence_score: Thousandths(case.confidence),
            reasoning: format!("The customer writes about {}; answered from the section {}.", case.topic.category, case.topic.section),
            draft_response: case.topic.reply,
            proposed_actions: json!([{"action": word(case.topic.action)}]),
            escalation_reason: case.ticket.is_escalated.then_some("low_confidence"),
            processed_at: case.drafted,
            review_status: if case.answered.is_some() { "approved" } else { "pending" },
            reviewed_at: case.answered,
            reviewed_by: case.answered.map(|_| case.agent),
            created_at: case.drafted,
            source: "email",
            dedupe_key: message_id(case.number, "in"),
            execution_duration_ms: took,
            model_used: MODEL,
        });
        self.execution(case, execution, began, (took, read, wrote));
        if self.is_recent(case.drafted, 30) {
            row!(self.sheets, "ai_prompt_logs", {
                id: self.id("ai_prompt_logs", case.number),
                channel: "email",
                assembled_at: began,
                section_versions: json!({case.topic.section: 1, "tone": 1}),
                prompt_hash: self.draws.token("ai_prompt_logs.hash", case.topic.section.len() as u64),
                token_estimate: read,
            });
        }
    }

    fn execution(&mut self, case: &Case<'_>, execution: Uuid, began: DateTime<Utc>, (took, read, wrote): (i64, i32, i32)) {
        row!(self.sheets, "agent_executions", {
            id: execution,
            created_at: began,
            ticket_id: case.id,
            trigger_source: "email",
            model_used: MODEL,
            started_at: began,
            completed_at: case.drafted,
            duration_ms: took,
            input_tokens: read,
            output_tokens: wrote,
            total_tokens: read + wrote,
            outcome: if case.ticket.is_escalated { "escalated" } else { "drafted" },
            confidence_score: Thousandths(case.confidence),
            tools_used: vec!["get_customer_context", "search_knowledge"],
            dedupe_key: message_id(case.number, "in"),
        });
        row!(self.sheets, "agent_decisions", {
            id: self.id("agent_decisions", case.number),
            created_at: case.drafted,
            execution_id: execution,
            ticket_id: case.id,
            decision_type: if case.ticket.is_escalated { "escalate" } else { "draft" },
            decision_rationale: format!("Knowledge of {} covers the question.", case.topic.section),
            confidence_score: Thousandths(case.confidence),
            human_reviewed_at: case.answered,
            human_reviewer: case.answered.map(|_| case.agent),
            human_agreed: case.answered.map(|_| true),
        });
        self.tool_calls(case, execution, began);
    }

    fn tool_calls(&mut self, case: &Case<'_>, execution: Uuid, began: DateTime<Utc>) {
        let mut random = self.stream(Theme::Visit, case.number);
        let calls = [
            (
                "get_customer_context",
                json!({"customer_id": case.sale.customer}),
                json!({"orders": self.customer(case.sale.placed.customer).placed}),
            ),
            ("search_knowledge", json!({"query": case.topic.subject}), json!({"sections": [case.topic.section]})),
        ];
        for (place, (tool, asked, answer)) in calls.into_iter().enumerate() {
            row!(self.sheets, "agent_tool_calls", {
                id: self.id("agent_tool_calls", case.number * 2 + place as u64),
                created_at: began,
                execution_id: execution,
                tool_name: tool,
                tool_input: asked,
                tool_output: answer,
                started_at: began,
                completed_at: began,
                duration_ms: random.random_range(12..240),
                success: true,
            });
        }
    }
}
