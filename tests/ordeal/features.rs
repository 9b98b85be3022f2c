//! What programs use of the engine: each feature with where it is drawn and by what it is judged.
//!
//! No act and no manner can be added without a feature, since [`Feature::of_act`] names them all; none without a line of the
//! page, which a test compares; and a series of runs that never used one proves nothing, which [`crate::coverage`] says.

use std::fmt::Write;

use crate::program::{Act, Manner, Program};

/// A feature of the engine, as programs use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is named in words by its line")]
pub enum Feature {
    Work,
    Block,
    Files,
    Outside,
    Inside,
    Note,
    Child,
    Step,
    StepOutside,
    Sleep,
    Undo,
    Patch,
    Event,
    Timeout,
    Join,
    Kin,
    JoinAny,
    First,
    Continue,
    Fail,
    Panic,
    Snooze,
    Cancel,
    Hold,
    Die,
    Finish,
    FinishInside,
    Unique,
    Replace,
    Debounce,
    Together,
    Limit,
    Delay,
    Priority,
    MaxAttempts,
    Bulk,
    Copy,
    Batch,
    CancelBatch,
    HoldKey,
    PlanHold,
    HoldKind,
    Requeue,
    Repeat,
    Discard,
    EditPolicy,
    Deadline,
}

/// What of the engine it is, where it is drawn, and by what the run is judged.
pub struct Line {
    /// In words.
    pub what: &'static str,
    /// The place that draws it.
    pub workload: &'static str,
    /// The checkers, and what the model says.
    pub model: &'static str,
}

const fn line(what: &'static str, workload: &'static str, model: &'static str) -> Line {
    Line { what, workload, model }
}

impl Feature {
    /// Every feature.
    pub const ALL: [Self; 47] = [
        Self::Work,
        Self::Block,
        Self::Files,
        Self::Outside,
        Self::Inside,
        Self::Note,
        Self::Child,
        Self::Step,
        Self::StepOutside,
        Self::Sleep,
        Self::Undo,
        Self::Patch,
        Self::Event,
        Self::Timeout,
        Self::Join,
        Self::Kin,
        Self::JoinAny,
        Self::First,
        Self::Continue,
        Self::Fail,
        Self::Panic,
        Self::Snooze,
        Self::Cancel,
        Self::Hold,
        Self::Die,
        Self::Finish,
        Self::FinishInside,
        Self::Unique,
        Self::Replace,
        Self::Debounce,
        Self::Together,
        Self::Limit,
        Self::Delay,
        Self::Priority,
        Self::MaxAttempts,
        Self::Bulk,
        Self::Copy,
        Self::Batch,
        Self::CancelBatch,
        Self::HoldKey,
        Self::PlanHold,
        Self::HoldKind,
        Self::Requeue,
        Self::Repeat,
        Self::Discard,
        Self::EditPolicy,
        Self::Deadline,
    ];

    /// Its line on the page.
    pub const fn line(self) -> Line {
        match self {
            Self::Work => line("a handler that takes its time", "`draw` Work", "model: the end"),
            Self::Block => line("a handler that blocks its thread", "`draw` Blocks", "model: the end"),
            Self::Files => line("a handler that uses up its process's files", "`draw` Files", "model: the end"),
            Self::Outside => line("effects outside under a key", "`draw` Outside", "I5: each act, again only after a void attempt"),
            Self::Inside => line("rows in a transaction of a handler", "`draw` Inside", "I4, I5: each row once, by whom it must be"),
            Self::Note => line("progress and log of a job", "`draw` Noted", "notes: the last word, every line"),
            Self::Child => line("jobs made by a handler", "`draw` Parent", "I1: there once, if the parent got so far"),
            Self::Step => line("steps of a workflow", "`draw` Flow", "I5: each row once; model: failures count from the last step"),
            Self::StepOutside => line("steps that act outside", "`draw` Flow", "I5"),
            Self::Sleep => line("sleeps of a workflow", "`draw` Flow", "model: the end"),
            Self::Undo => line("compensation", "`draw` Undone, Anew", "undone: all of it, last first, or nothing"),
            Self::Patch => line("patches of a workflow's code", "`draw` Undone", "the handler itself: always the new way"),
            Self::Event => line("events, and waiting for them", "`draw::pair`", "I5: emitted once; I12: the one that waits ends"),
            Self::Timeout => {
                line("an event that never comes, with a timeout", "`draw` Vain", "the handler itself: none came; I12: it goes on")
            }
            Self::Join => line("children, all joined", "`draw::family`", "I1, I5, I12"),
            Self::Kin => line(
                "children with unique keys",
                "`draw::family`",
                "I1: one that is not there found its key held; I7; the handler: their number",
            ),
            Self::JoinAny => line("children, joined as they end", "`draw::family`", "I1, I5, I12: each end is taken once"),
            Self::First => {
                line("a child, an event or a time, what comes first", "`draw::pair`", "I1, I5; the handler itself: each comes once")
            }
            Self::Continue => line("a workflow that begins anew", "`draw` Anew", "I5: nothing of before is done again; undone"),
            Self::Fail => line("failures by category, retries", "`draw` Fails", "model: how often, and the category of the end"),
            Self::Panic => line("panics", "`draw` Panics", "model: as failures of category bug"),
            Self::Snooze => line("snoozes, one or many", "`draw` Snoozes, Loops", "model: how often; due: not before their time"),
            Self::Cancel => line("a job that cancels itself", "`draw` Cancels", "model: the end"),
            Self::Hold => line("jobs that operators cancel", "`draw::held`", "model: cancelled, and nothing after the answer"),
            Self::Die => line("a job that kills its worker", "`draw::poison`", "model, I6: dead as poison after three deaths, each alone"),
            Self::Finish => line("an end that the worker records", "`draw`", "model: the end and the output"),
            Self::FinishInside => line("an end in the handler's transaction", "`draw` Effect", "I5: the row if, and only if, it completed"),
            Self::Unique => line("unique keys", "`draw::program`, `twin`", "I7: one lives; I2: whose job was told of"),
            Self::Replace => line("unique keys that replace", "`draw` contest", "keys: the newest wins, before the other began"),
            Self::Debounce => line("debounce", "`draw` contest", "keys: the newest wins always, not before its time"),
            Self::Together => line("many jobs in one call", "`draw::gathered`", "model: each by its own program"),
            Self::Limit => line("limits and rates of keys", "`draw::program`", "I8, I9: overlap, order, crowds"),
            Self::Delay => line("jobs for later", "`draw::program`, `distant`", "due: not before their time"),
            Self::Priority => line("priorities", "`draw::program`", "I12: none starves"),
            Self::MaxAttempts => line("a cap on attempts", "`draw::program`", "model: how often it fails"),
            Self::Bulk => line("many jobs in one statement", "`producer` bulk", "I1: all or none, each its own; I9: in their order"),
            Self::Copy => line("many jobs by COPY", "`producer` copy", "I1: all or none, each its own"),
            Self::Batch => line("batches that are called back", "`producer` batch", "batch: once, after all, told how each ended"),
            Self::CancelBatch => line(
                "batches that operators cancel",
                "`producer` batch",
                "batch: never called back; model: each part as it must, or cancelled",
            ),
            Self::HoldKey => line("pauses of limit keys", "`operators::hold_keys`", "due: nothing of the key begins; I9"),
            Self::PlanHold => line("windows of limit keys", "`operators::hold_keys`", "due: nothing that comes in them begins"),
            Self::HoldKind => line("pauses of kinds", "`operators::hold_programs`", "due: nothing of the kind begins"),
            Self::Requeue => line("dead letters run again with other arguments", "`letters`", "letters, I15, I11: one job, with these"),
            Self::Repeat => {
                line("dead letters run again as they were", "`draw::frail`, `letters`", "letters, I11: one job; model: it dies again")
            }
            Self::Discard => line("dead letters put away", "`letters`", "letters: no job, and the reason"),
            Self::EditPolicy => line("edits of the retry policy", "`policy`", "policy: each failure by the row of its time"),
            Self::Deadline => line("deadlines", "`draw::hurried`", "model: done, or cancelled when it had passed"),
        }
    }

    /// What an act uses.
    pub const fn of_act(act: &Act) -> Self {
        match act {
            Act::Work(_) => Self::Work,
            Act::Block(_) => Self::Block,
            Act::Files(_) => Self::Files,
            Act::Outside => Self::Outside,
            Act::Inside => Self::Inside,
            Act::Note => Self::Note,
            Act::Child(_) => Self::Child,
            Act::Step => Self::Step,
            Act::StepOutside => Self::StepOutside,
            Act::Sleep(_) => Self::Sleep,
            Act::Undo(_) => Self::Undo,
            Act::Patch => Self::Patch,
            Act::Emit(_) | Act::Await(_) => Self::Event,
            Act::Vain(_) => Self::Timeout,
            Act::Join(_) => Self::Join,
            Act::JoinAny(_) => Self::JoinAny,
            Act::First(..) => Self::First,
            Act::Continue => Self::Continue,
            Act::Fail(_) => Self::Fail,
            Act::Panic => Self::Panic,
            Act::Snooze(_) => Self::Snooze,
            Act::Cancel => Self::Cancel,
            Act::Hold => Self::Hold,
            Act::Die(_) => Self::Die,
            Act::Finish => Self::Finish,
            Act::FinishInside(_) => Self::FinishInside,
        }
    }

    /// What a program uses, by its acts and by how it is enqueued.
    pub fn of(program: &Program) -> Vec<Self> {
        // Every field: one that is added must be thought of here.
        let Program { key: _, acts, unique, manner, together, limit, delay_ms, deadline_ms, priority, max_attempts, chaff: _ } = program;
        let mut used: Vec<Self> = acts.iter().map(Self::of_act).collect();
        let is_kin = |act: &Act| matches!(act, Act::Join(children) if children.iter().any(|child| child.unique.is_some()));
        used.extend(acts.iter().any(is_kin).then_some(Self::Kin));
        used.extend(unique.as_ref().map(|_| match manner {
            Manner::Yields => Self::Unique,
            Manner::Replaces => Self::Replace,
            Manner::Debounces => Self::Debounce,
        }));
        let ways = [
            (*together, Self::Together),
            (limit.is_some(), Self::Limit),
            (*delay_ms > 0, Self::Delay),
            (deadline_ms.is_some(), Self::Deadline),
            (*priority != 5, Self::Priority),
            (max_attempts.is_some(), Self::MaxAttempts),
        ];
        used.extend(ways.into_iter().filter(|(uses, _)| *uses).map(|(_, feature)| feature));
        used.sort_unstable();
        used.dedup();
        used
    }
}

/// The table of the page.
pub fn table() -> String {
    let mut table = String::from("| feature | workload | model and checkers |\n|---|---|---|\n");
    for Line { what, workload, model } in Feature::ALL.map(Feature::line) {
        writeln!(table, "| {what} | {workload} | {model} |").expect("a string takes text");
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        chance::{Purpose, stream},
        program::Death,
        workload::draw,
    };

    #[test]
    fn every_feature_is_drawn() {
        let mut random = stream(1, Purpose::Producer, 0);
        let mut drawn = vec![
            draw::held("h".into()),
            draw::distant("d".into()),
            draw::poison("p".into(), Death::Abort),
            draw::hurried(&mut random, "s".into()),
        ];
        for number in 0..4000 {
            drawn.push(draw::program(&mut random, format!("p{number}")));
            drawn.push(draw::gathered(&mut random, format!("g{number}")));
            drawn.push(draw::family(&mut random, &format!("f{number}")));
            drawn.extend(draw::pair(&mut random, &format!("e{number}")));
        }
        let used: BTreeSet<Feature> = drawn.iter().flat_map(Feature::of).collect();
        // These are how programs are enqueued and what operators do: a run counts them.
        let elsewhere = [
            Feature::Bulk,
            Feature::Copy,
            Feature::Batch,
            Feature::CancelBatch,
            Feature::HoldKey,
            Feature::PlanHold,
            Feature::HoldKind,
            Feature::Requeue,
            Feature::Repeat,
            Feature::Discard,
            Feature::EditPolicy,
        ];
        let missing: Vec<Feature> =
            Feature::ALL.into_iter().filter(|feature| !used.contains(feature) && !elsewhere.contains(feature)).collect();
        assert!(missing.is_empty(), "nothing draws {missing:?}");
    }

    #[test]
    fn every_feature_has_a_line_of_the_page() {
        assert_eq!(Feature::ALL.into_iter().collect::<BTreeSet<_>>().len(), Feature::ALL.len());
        let page = include_str!("README.md");
        assert!(page.contains(&table()), "the page must have this table:\n{}", table());
    }
}
