//! Spans: what takes time, in a trace.

use std::{fmt::Display, pin::Pin};

use super::{TraceParent, recorded::Recorded};

/// The longest reason that a span keeps, in characters.
const REASON: usize = 500;

/// Whose span it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A request that is answered.
    Server,
    /// One run of a job.
    Attempt,
    /// A request that is made.
    Client,
}

/// What a span says of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fact<'a> {
    /// In words.
    Text(&'a str),
    /// In figures.
    Number(i64),
}

/// Something that takes time, in a trace. Where nobody is told of spans it only hands its parent on. It ends when it is
/// dropped.
#[derive(Debug)]
pub struct Span {
    parent: Option<TraceParent>,
    recorded: Option<Recorded>,
}

impl Span {
    /// Begins a span.
    pub fn begin(role: Role, name: impl Display, parent: Option<TraceParent>) -> Self {
        let recorded = if super::is_exported() { Recorded::begin(role, name.to_string(), parent.clone(), None) } else { None };
        Self { parent, recorded }
    }

    /// Begins a span whose ids, of the trace if it begins one and of itself, are given.
    pub(crate) fn begin_as(ids: (u128, u64), role: Role, name: &str, parent: Option<TraceParent>) -> Self {
        Self { recorded: Recorded::begin(role, name.to_owned(), parent.clone(), Some(ids)), parent }
    }

    /// None of its own: hands on its parent.
    pub const fn none(parent: Option<TraceParent>) -> Self {
        Self { parent, recorded: None }
    }

    /// The place that it is in its trace, for what is done on its behalf.
    pub fn place(&self) -> Option<TraceParent> {
        self.recorded.as_ref().map_or_else(|| self.parent.clone(), Recorded::place)
    }

    /// Takes note of a fact.
    pub fn note(&self, key: &'static str, fact: Fact<'_>) {
        if let Some(recorded) = &self.recorded {
            recorded.note(key, fact);
        }
    }

    /// Takes note that it failed, and why.
    pub fn failed(&self, why: impl Display) {
        if let Some(recorded) = &self.recorded {
            recorded.failed(why.to_string().chars().take(REASON).collect());
        }
    }

    /// Points to another place of a trace.
    pub(crate) fn link(&self, place: TraceParent) {
        if let Some(recorded) = &self.recorded {
            recorded.link(place);
        }
    }

    /// Does work that is a part of it.
    pub async fn around<T>(&self, work: impl Future<Output = T>) -> T {
        match &self.recorded {
            Some(recorded) => recorded.around(work).await,
            None => super::within(self.parent.clone(), work).await,
        }
    }

    /// As [`Span::around`], for work that is boxed already: without a trace it costs nothing.
    pub(crate) fn around_boxed<T: 'static>(
        &self,
        work: Pin<Box<dyn Future<Output = T> + Send>>,
    ) -> Pin<Box<dyn Future<Output = T> + Send>> {
        match (&self.recorded, &self.parent) {
            (Some(recorded), _) => Box::pin(recorded.around(work)),
            (None, Some(_)) => Box::pin(super::within(self.parent.clone(), work)),
            (None, None) => work,
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(recorded) = &self.recorded {
            recorded.end();
        }
    }
}
