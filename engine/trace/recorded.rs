//! Spans of OpenTelemetry.

use std::{cell::Cell, sync::OnceLock};

use opentelemetry::{
    Context, KeyValue,
    trace::{FutureExt, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer, TracerProvider},
};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracer, SdkTracerProvider};

use super::{Fact, Role, TraceParent};

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

thread_local! {
    /// The ids of the span that this thread begins, where they follow from what the span is of.
    static GIVEN: Cell<Option<(u128, u64)>> = const { Cell::new(None) };
}

/// Spans of this process go to `provider` from now on; a second call changes nothing. Build it with [`Ids`].
pub fn export_to(provider: &SdkTracerProvider) {
    TRACER.get_or_init(|| provider.tracer("rawops"));
}

/// Makes ids of spans. Those of attempts follow from the job, so that one attempt can point to another that ran elsewhere,
/// and all attempts of a job are in one trace; others are random.
#[derive(Debug, Clone, Default)]
pub struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        GIVEN.get().map_or_else(|| self.0.new_trace_id(), |(trace_id, _)| trace_id.into())
    }

    fn new_span_id(&self) -> SpanId {
        GIVEN.get().map_or_else(|| self.0.new_span_id(), |(_, span_id)| span_id.into())
    }
}

/// A span that is told when it ends.
#[derive(Debug)]
pub(super) struct Recorded(Context);

impl Recorded {
    /// `None` when spans are told to nobody.
    pub(super) fn begin(role: Role, name: String, parent: Option<TraceParent>, ids: Option<(u128, u64)>) -> Option<Self> {
        let tracer = TRACER.get()?;
        let kind = match role {
            Role::Server => SpanKind::Server,
            Role::Attempt => SpanKind::Consumer,
            Role::Client => SpanKind::Client,
        };
        let parent = parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent.into()));
        GIVEN.set(ids);
        let span = tracer.build_with_context(tracer.span_builder(name).with_kind(kind), &parent);
        GIVEN.set(None);
        Some(Self(Context::new().with_span(span)))
    }

    pub(super) fn place(&self) -> Option<TraceParent> {
        place_of(self.0.span().span_context())
    }

    pub(super) fn note(&self, key: &'static str, fact: Fact<'_>) {
        self.0.span().set_attribute(match fact {
            Fact::Text(text) => KeyValue::new(key, text.to_owned()),
            Fact::Number(number) => KeyValue::new(key, number),
        });
    }

    pub(super) fn failed(&self, why: String) {
        self.0.span().set_status(Status::error(why));
    }

    pub(super) fn link(&self, place: TraceParent) {
        self.0.span().add_link(place.into(), Vec::new());
    }

    pub(super) fn around<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        work.with_context(self.0.clone())
    }

    pub(super) fn end(&self) {
        self.0.span().end();
    }
}

pub(super) fn current() -> Option<TraceParent> {
    Context::map_current(|context| if context.has_active_span() { place_of(context.span().span_context()) } else { None })
}

pub(super) fn carry<F: Future>(place: TraceParent, work: F) -> impl Future<Output = F::Output> {
    work.with_context(Context::current().with_remote_span_context(place.into()))
}

pub(super) fn link_current(place: TraceParent) {
    Context::map_current(|context| context.span().add_link(place.into(), Vec::new()));
}

pub(super) fn is_exported() -> bool {
    TRACER.get().is_some()
}

impl From<TraceParent> for SpanContext {
    fn from(place: TraceParent) -> Self {
        let flags = TraceFlags::default().with_sampled(place.is_sampled());
        let state = place.state().and_then(|state| state.parse().ok()).unwrap_or(TraceState::NONE);
        Self::new(place.trace_id().into(), place.span_id().into(), flags, true, state)
    }
}

fn place_of(context: &SpanContext) -> Option<TraceParent> {
    let (trace_id, span_id) = (context.trace_id().to_bytes(), context.span_id().to_bytes());
    let place = TraceParent::new(u128::from_be_bytes(trace_id), u64::from_be_bytes(span_id), context.is_sampled())?;
    Some(place.with_state(&context.trace_state().header()))
}
