//! The header `traceparent`: which trace, and which span of it is the parent.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize, Serializer};

use super::state;

/// A place in a trace: what is done for it names it as its parent. It is shown as the header `traceparent` of W3C, version 00. What the
/// systems on the way have noted, the header `tracestate`, goes along with it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    sampled: bool,
    state: Option<Arc<str>>,
}

/// A text that is no header `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no header traceparent: two digits of the version, 32 of the trace, 16 of the span and two of flags, in hex, not all zero")]
pub struct NoTraceParent;

impl TraceParent {
    /// A place in a trace; `None` when an id is 0, which W3C rules out.
    pub const fn new(trace_id: u128, span_id: u64, sampled: bool) -> Option<Self> {
        if trace_id == 0 || span_id == 0 { None } else { Some(Self { trace_id, span_id, sampled, state: None }) }
    }

    /// The trace.
    pub const fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// The span within it.
    pub const fn span_id(&self) -> u64 {
        self.span_id
    }

    /// Whether whoever began the trace keeps it.
    pub const fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// With the header `tracestate` of W3C; of several, all of them with commas between. What is no such header, or longer than 512
    /// characters, is left out.
    #[must_use]
    pub fn with_state(self, header: &str) -> Self {
        Self { state: state::read(header), ..self }
    }

    /// The header `tracestate`, for what is asked of other systems, where there is one.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// Both headers as jobs keep them, with a blank between. It is read as `traceparent` is.
    pub fn text(&self) -> String {
        match &self.state {
            Some(state) => format!("{self} {state}"),
            None => self.to_string(),
        }
    }
}

impl FromStr for TraceParent {
    type Err = NoTraceParent;

    /// Of a version that is not known yet, what version 00 knows. `tracestate` may stand behind the header, after a blank.
    fn from_str(text: &str) -> Result<Self, NoTraceParent> {
        let (header, state) = text.split_once(' ').unwrap_or((text, ""));
        let mut parts = header.split('-');
        let mut next = |digits| parts.next().and_then(|part| hex(part, digits)).ok_or(NoTraceParent);
        let (version, trace_id, span_id, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
        let more = parts.next().is_some();
        if version == 0xff || (version == 0 && more) {
            return Err(NoTraceParent);
        }
        let parent = Self::new(trace_id, span_id as u64, flags & 1 == 1).ok_or(NoTraceParent)?;
        Ok(if more { parent } else { parent.with_state(state) })
    }
}

/// A number of exactly so many digits, lower case as W3C writes it.
fn hex(part: &str, digits: usize) -> Option<u128> {
    let fits = part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if fits { u128::from_str_radix(part, 16).ok() } else { None }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

impl fmt::Debug for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for TraceParent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for TraceParent {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn a_header_is_read_and_written_as_w3c_says() {
        let header = format!("00-{TRACE}-{SPAN}-01");
        let parent: TraceParent = header.parse().expect("it is one");
        assert_eq!((parent.to_string(), parent.is_sampled()), (header, true));
        let unsampled: TraceParent = format!("00-{TRACE}-{SPAN}-02").parse().expect("it is one");
        assert_eq!(unsampled.to_string(), format!("00-{TRACE}-{SPAN}-00"), "flags that are not known are not handed on");
        let newer: TraceParent = format!("cc-{TRACE}-{SPAN}-01-what-will-be").parse().expect("a later version begins as this one");
        assert_eq!(newer, parent);
    }

    #[test]
    fn what_systems_on_the_way_noted_goes_along_where_it_is_a_header_too() {
        let header = format!("00-{TRACE}-{SPAN}-01");
        let plain: TraceParent = header.parse().expect("it is one");
        let noted = plain.clone().with_state("rojo=1, congo=2");
        assert_eq!((noted.to_string(), noted.state()), (header.clone(), Some("rojo=1,congo=2")));
        assert_eq!(noted.text(), format!("{header} rojo=1,congo=2"));
        assert_eq!(noted.text().parse::<TraceParent>(), Ok(noted.clone()));
        assert_eq!(serde_json::from_str::<TraceParent>(&serde_json::to_string(&noted).expect("JSON")).expect("it is one"), noted);
        assert_eq!((plain.text(), plain.state()), (header.clone(), None));
        for unreadable in ["", "rojo", "rojo=1,rojo=2"] {
            assert_eq!(format!("{header} {unreadable}").parse::<TraceParent>(), Ok(plain.clone()), "{unreadable:?}");
            assert_eq!(noted.clone().with_state(unreadable), plain, "{unreadable:?}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let (zero_trace, zero_span) = ("0".repeat(32), "0".repeat(16));
        for wrong in [
            String::new(),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{zero_trace}-{SPAN}-01"),
            format!("00-{TRACE}-{zero_span}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-+{}-{SPAN}-01", &TRACE[1..]),
            format!("cc-{TRACE}-{SPAN}-01."),
        ] {
            assert_eq!(wrong.parse::<TraceParent>(), Err(NoTraceParent), "{wrong}");
        }
    }
}
