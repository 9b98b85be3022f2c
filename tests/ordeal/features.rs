//! What programs use of the engine: each feature with where it is drawn and by what it is judged.
//!
//! No act and no manner can be added without a feature, since [`Feature::of_act`] names them all; none without a line of the
//! page, which a test compares; and a series of runs that never used one proves nothing, which [`crate::coverage`] says.

use std::fmt::Write;

use crate::program::{Act, Manner, Played, Program};

/// What of the engine it is, where it is drawn, and by what the run is judged.
pub struct Line {
    /// In words.
    pub what: &'static str,
    /// The place that draws it.
    pub workload: &'static str,
    /// The checkers, and what the model says.
    pub model: &'static str,
}

/// The features, each with its line of the page.
macro_rules! features {
    ($($name:ident: $what:literal, $workload:literal, $model:literal;)*) => {
        /// A feature of the engine, as programs use it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "each is named in words by its line")]
        pub enum Feature {
            $($name,)*
        }

        impl Feature {
            /// Every feature.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its line on the page.
            pub const fn line(self) -> Line {
                match self {
                    $(Self::$name => Line { what: $what, workload: $workload, model: $model },)*
                }
            }
        }
    };
}

features! {
    Work: "a handler that takes its time", "`draw` Work", "model: the end";
    Block: "a handler that blocks its thread", "`draw` Blocks", "model: the end";
    Files: "a handler that uses up its process's files", "`draw` Files", "model: the end";
    Outside: "effects outside under a key", "`draw` Outside", "I5: each act, again only after a void attempt";
    Inside: "rows in a transaction of a handler", "`draw` Inside", "I4, I5: each row once, by whom it must be";
    Note: "progress and log of a job", "`draw` Noted", "notes: the last word, every line";
    Child: "jobs made by a handler", "`draw` Parent", "I1: there once, if the parent got so far";
    Step: "steps of a workflow", "`draw` Flow", "I5: each row once; model: failures count from the last step";
    StepOutside: "steps that act outside", "`draw` Flow", "I5";
    Sleep: "sleeps of a workflow", "`draw` Flow", "model: the end";
    Undo: "compensation", "`draw` Undone, Anew", "undone: all of it, last first, or nothing";
    Patch: "patches of a workflow's code", "`draw` Undone", "the handler itself: always the new way";
    Event: "events, and waiting for them", "`draw::pair`", "I5: emitted once; I12: the one that waits ends";
    Timeout: "an event that never comes, with a timeout", "`draw` Vain", "the handler itself: none came; I12: it goes on";
    Join: "children, all joined", "`draw::family`", "I1, I5, I12";
    Kin: "children with unique keys", "`draw::family`", "I1: one that is not there found its key held; I7; the handler: their number";
    JoinAny: "children, joined as they end", "`draw::family`", "I1, I5, I12: each end is taken once";
    First: "a child, an event or a time, what comes first", "`draw::pair`", "I1, I5; the handler itself: each comes once";
    Continue: "a workflow that begins anew", "`draw` Anew", "I5: nothing of before is done again; undone";
    Stumble: "a workflow that dies until it runs again from a step", "`draw::stumbling`", "model: dead at first, then as the rest of it says";
    Fail: "failures by category, retries", "`draw` Fails", "model: how often, and the category of the end";
    Panic: "panics", "`draw` Panics", "model: as failures of category bug";
    Snooze: "snoozes, one or many", "`draw` Snoozes, Loops", "model: how often; due: not before their time";
    Cancel: "a job that cancels itself", "`draw` Cancels", "model: the end";
    Hold: "jobs that operators cancel", "`draw::held`", "model: cancelled, and nothing after the answer";
    Die: "a job that kills its worker", "`draw::poison`", "model, I6: dead as poison after three deaths, each alone";
    Finish: "an end that the worker records", "`draw`", "model: the end and the output";
    FinishInside: "an end in the handler's transaction", "`draw` Effect", "I5: the row if, and only if, it completed";
    Unique: "unique keys", "`draw::program`, `twin`", "I7: one lives; I2: whose job was told of";
    Replace: "unique keys that replace", "`draw` contest", "keys: the newest wins, before the other began";
    Debounce: "debounce", "`draw` contest", "keys: the newest wins always, not before its time";
    Together: "many jobs in one call", "`draw::gathered`", "model: each by its own program";
    Apart: "jobs in processes of their own", "`draw::apart`", "model: whatever they do to their process their worker lives; I16: no process is left";
    Calling: "jobs that call an outside system", "`draw::calling`, `turned_away`", "model: what their breaker holds burns no attempt; turns";
    Limit: "limits and rates of keys", "`draw::program`", "I8, I9: overlap, order, crowds";
    Delay: "jobs for later", "`draw::program`, `distant`", "due: not before their time";
    Priority: "priorities", "`draw::program`", "I12: none starves";
    MaxAttempts: "a cap on attempts", "`draw::program`", "model: how often it fails";
    Bulk: "many jobs in one statement", "`producer` bulk", "I1: all or none, each its own; I9: in their order";
    Http: "jobs over HTTP", "`ways` Http", "I1: there once, however often it was asked; I11; as any other";
    Copy: "many jobs by COPY", "`producer` copy", "I1: all or none, each its own";
    Batch: "batches that are called back", "`producer` batch", "batch: once, after all, told how each ended";
    CancelBatch: "batches that operators cancel", "`producer` batch", "batch: never called back; model: each part as it must, or cancelled";
    HoldKey: "pauses of limit keys", "`operators::hold_keys`", "due: nothing of the key begins; I9";
    PlanHold: "windows of limit keys", "`operators::hold_keys`", "due: nothing that comes in them begins";
    HoldKind: "pauses of kinds", "`operators::hold_programs`", "due: nothing of the kind begins";
    Breaker: "breakers that open, probe and close", "`producer` outage", "breaker: nothing begins but one probe at a time, when it is due";
    HoldBreaker: "breakers that operators hold open", "`operators::hold_breaker`", "breaker: nothing that comes begins";
    CloseBreaker: "breakers that operators hold closed", "`operators::hold_breaker`", "breaker: it is in their trail";
    Requeue: "dead letters run again with other arguments", "`letters`", "letters, I15, I11: one job, with these";
    Repeat: "dead letters run again as they were", "`draw::frail`, `letters`", "letters, I11: one job; model: it dies again";
    Discard: "dead letters put away", "`letters`", "letters: no job, and the reason";
    Restart: "workflows that run again from a step", "`restarts`", "restarts: one job each time; I5: what is before the step is not done again, the rest once";
    EditPolicy: "edits of the retry policy", "`policy`", "policy: each failure by the row of its time";
    EditSchedule: "edits of schedules", "`schedules`", "schedules: what comes after one comes by its line, and nothing of before";
    PauseSchedule: "pauses of schedules", "`schedules`", "schedules: nothing comes in them, or is made good";
    RunSchedule: "schedules run by hand", "`schedules`", "schedules: one job each time, also in a pause; I2";
    Deadline: "deadlines", "`draw::hurried`", "model: done, or cancelled when it had passed";
}

impl Feature {
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
            Act::Stumble => Self::Stumble,
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
        let Program { key: _, acts, unique, manner, played, limit, delay_ms, deadline_ms, priority, max_attempts, chaff: _ } = program;
        // What a program does to a process of its own is another thing.
        let is_contained = |act: &&Act| *played == Played::Apart && matches!(act, Act::Die(_) | Act::Panic);
        let mut used: Vec<Self> = acts.iter().filter(|act| !is_contained(act)).map(Self::of_act).collect();
        let is_kin = |act: &Act| matches!(act, Act::Join(children) if children.iter().any(|child| child.unique.is_some()));
        used.extend(acts.iter().any(is_kin).then_some(Self::Kin));
        used.extend(unique.as_ref().map(|_| match manner {
            Manner::Yields => Self::Unique,
            Manner::Replaces => Self::Replace,
            Manner::Debounces => Self::Debounce,
        }));
        let ways = [
            (*played == Played::Together, Self::Together),
            (*played == Played::Apart, Self::Apart),
            (*played == Played::Calling, Self::Calling),
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
    for Line { what, workload, model } in Feature::ALL.iter().map(|feature| feature.line()) {
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
            draw::stumbling(&mut random, "w".into()),
        ];
        for number in 0..4000 {
            drawn.push(draw::program(&mut random, format!("p{number}")));
            drawn.push(draw::gathered(&mut random, format!("g{number}")));
            drawn.push(draw::apart(&mut random, format!("a{number}")));
            drawn.push(draw::calling(&mut random, format!("c{number}")));
            drawn.push(draw::turned_away(&mut random, format!("t{number}")));
            drawn.push(draw::family(&mut random, &format!("f{number}")));
            drawn.extend(draw::pair(&mut random, &format!("e{number}")));
        }
        let used: BTreeSet<Feature> = drawn.iter().flat_map(Feature::of).collect();
        // These are how programs are enqueued and what operators do: a run counts them.
        let elsewhere = [
            Feature::Http,
            Feature::Bulk,
            Feature::Copy,
            Feature::Batch,
            Feature::CancelBatch,
            Feature::HoldKey,
            Feature::PlanHold,
            Feature::HoldKind,
            Feature::Breaker,
            Feature::HoldBreaker,
            Feature::CloseBreaker,
            Feature::Requeue,
            Feature::Repeat,
            Feature::Discard,
            Feature::Restart,
            Feature::EditPolicy,
            Feature::EditSchedule,
            Feature::PauseSchedule,
            Feature::RunSchedule,
        ];
        let missing: Vec<Feature> =
            Feature::ALL.iter().copied().filter(|feature| !used.contains(feature) && !elsewhere.contains(feature)).collect();
        assert!(missing.is_empty(), "nothing draws {missing:?}");
    }

    #[test]
    fn every_feature_has_a_line_of_the_page() {
        assert_eq!(Feature::ALL.iter().collect::<BTreeSet<_>>().len(), Feature::ALL.len());
        let page = include_str!("README.md");
        assert!(page.contains(&table()), "the page must have this table:\n{}", table());
    }
}
