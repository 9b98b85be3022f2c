//! One scan of a parcel, in the form of our own that the adapter of each courier sends.

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use crate::{
    orders::shopify_order::{Refusal, named},
    written_time::is_moment,
};

/// Longest number and code.
const LIMIT_BYTES: usize = 64;

/// A scan that can be written down.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TrackingEvent {
    /// The parcel's number.
    pub tracking_no: String,
    /// The courier; DPD unless named.
    #[serde(default)]
    pub carrier: Option<String>,
    /// The courier's code; DPD leaves it out at times.
    #[serde(default)]
    pub event_code: Option<String>,
    /// The courier's words.
    #[serde(default)]
    pub event_text: Option<String>,
    /// When it was scanned: with a zone, or by London's clock.
    pub event_time: Moment,
}

/// A time with a zone, or without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment;

impl TrackingEvent {
    /// Reads the document of a scan.
    ///
    /// # Errors
    /// [`Refusal`] names the first thing that is wrong and where it stands.
    pub fn parse(document: &Value) -> Result<Self, Refusal> {
        if !document.is_object() {
            return Err(Refusal("the payload is not a JSON object".into()));
        }
        let event: Self = serde_path_to_error::deserialize(document).map_err(|error| named(&error))?;
        for (field, text) in [("tracking_no", Some(&event.tracking_no)), ("event_code", event.event_code.as_ref())] {
            let Some(text) = text else { continue };
            if text.trim().is_empty() && field == "tracking_no" || text.len() > LIMIT_BYTES {
                return Err(Refusal(format!("{field}: expected 1 to {LIMIT_BYTES} bytes")));
            }
        }
        Ok(event)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        is_moment(&text, &["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"])
            .then_some(Self)
            .ok_or_else(|| de::Error::custom("expected a time, such as \"2026-01-15 11:42:10\""))
    }
}
