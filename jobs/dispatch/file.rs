//! A file of the packer: rows of CSV, or the same rows as JSON.
//!
//! ```text
//! order_ref,tracking_no,dispatched_at,courier,service,temperature_c,coolant_units
//! PR#1001,15501234567890,2026-03-29 14:05:00,DPD,NEXT DAY,-18.5,3
//!
//! {"rows": [{"order_ref": "PR#1001", "tracking_no": "15501234567890", "dispatched_at": "2026-03-29T14:05:00+01:00"}]}
//! ```
//!
//! The first three are wanted; columns stand in any order, and what is not known is kept. A row whose `status` is `not_sent` says that
//! an order was stopped and did not leave, so it has neither number nor time. A file that is none is refused whole. A row that is wrong
//! is kept with its reason, and keeps no other from being read.

use std::collections::BTreeMap;

use csv::{ReaderBuilder, StringRecord, Trim};
use serde_json::{Map, Value};

use crate::written_time::is_moment;

/// Rows of one file.
const ROWS: usize = 10_000;
/// Longest name, number and value, in bytes.
const LIMIT_BYTES: usize = 200;
/// What `status` says of an order that did not leave.
const NOT_SENT: &str = "not_sent";
/// Columns without which there is nothing to read.
const REQUIRED: [&str; 3] = ["order_ref", "tracking_no", "dispatched_at"];
/// How a time without a zone, London's, may be written.
const LOCAL_TIMES: [&str; 4] = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"];

/// What a row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The order's name at the packer; empty when there is none.
    pub order_ref: String,
    /// All of it, by column.
    pub said: BTreeMap<String, String>,
    /// Why it is no dispatch.
    pub fault: Option<String>,
}

/// Why a file is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

/// Reads a file.
///
/// # Errors
/// [`Refusal`] when the file is no such file at all.
pub fn parse(bytes: &[u8]) -> Result<Vec<Row>, Refusal> {
    let text =
        std::str::from_utf8(bytes).map_err(|error| Refusal(format!("the file is not UTF-8 from byte {} on", error.valid_up_to())))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let rows = if text.trim_start().starts_with(['{', '[']) { of_json(text)? } else { of_csv(text)? };
    if rows.len() > ROWS {
        return Err(Refusal(format!("the file has {} rows, and {ROWS} are taken: divide it", rows.len())));
    }
    Ok(rows)
}

fn of_json(text: &str) -> Result<Vec<Row>, Refusal> {
    let document: Value = serde_json::from_str(text).map_err(|error| Refusal(format!("the file is no JSON: {error}")))?;
    let rows = document.get("rows").unwrap_or(&document).as_array();
    let rows = rows.ok_or_else(|| Refusal("the file has no rows: expected a list of objects, or one under \"rows\"".into()))?;
    Ok(rows.iter().map(|row| row.as_object().map_or_else(Row::of_nothing, Row::of_object)).collect())
}

fn of_csv(text: &str) -> Result<Vec<Row>, Refusal> {
    let first = text.lines().next().unwrap_or_default();
    let delimiter = if first.contains(';') && !first.contains(',') { b';' } else { b',' };
    let mut reader = ReaderBuilder::new().delimiter(delimiter).trim(Trim::All).flexible(true).from_reader(text.as_bytes());
    let columns = reader.headers().map_err(|error| Refusal(format!("the file has no header: {error}")))?;
    let columns: Vec<String> = columns.iter().map(|name| name.to_ascii_lowercase().replace([' ', '-'], "_")).collect();
    if let Some(missing) = REQUIRED.iter().find(|wanted| !columns.iter().any(|column| column == *wanted)) {
        return Err(Refusal(format!("the file has no column {missing}")));
    }
    if let Some(twice) = columns.iter().enumerate().find_map(|(place, name)| columns[..place].contains(name).then_some(name)) {
        return Err(Refusal(format!("the file has two columns {twice:?}")));
    }
    // Text that is UTF-8 and may have any number of fields has no other faults.
    let records = reader.records().collect::<Result<Vec<StringRecord>, _>>().map_err(|error| Refusal(error.to_string()))?;
    Ok(records
        .iter()
        .filter(|record| record.iter().any(|field| !field.is_empty()))
        .map(|record| Row::of_record(&columns, record))
        .collect())
}

impl Row {
    fn of_record(columns: &[String], record: &StringRecord) -> Self {
        let row = Self::of(columns.iter().cloned().zip(record.iter().map(str::to_owned)));
        if record.len() == columns.len() || row.fault.is_some() {
            return row;
        }
        Self { fault: Some(format!("it has {} fields, and the header has {}", record.len(), columns.len())), ..row }
    }

    fn of_object(object: &Map<String, Value>) -> Self {
        Self::of(object.iter().filter_map(|(name, value)| {
            let text = match value {
                Value::Null => return None,
                Value::String(text) => text.trim().to_owned(),
                other => other.to_string(),
            };
            Some((name.to_ascii_lowercase(), text))
        }))
    }

    fn of_nothing() -> Self {
        Self { order_ref: String::new(), said: BTreeMap::new(), fault: Some("it is no object".into()) }
    }

    fn of(fields: impl Iterator<Item = (String, String)>) -> Self {
        let mut fields: BTreeMap<String, String> = fields.filter(|(_, value)| !value.is_empty()).collect();
        // However he writes it.
        if let Some(status) = fields.get_mut("status").filter(|status| status.to_ascii_lowercase().replace([' ', '-'], "_") == NOT_SENT) {
            NOT_SENT.clone_into(status);
        }
        let fault = fault_of(&fields);
        // What cannot be stored or shown is kept as far as it can.
        let clean =
            |text: &str| text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).take(LIMIT_BYTES).collect();
        let said: BTreeMap<String, String> = fields.iter().map(|(name, value)| (clean(name), clean(value))).collect();
        Self { order_ref: said.get("order_ref").cloned().unwrap_or_default(), said, fault }
    }
}

/// What is wrong with a row, if anything.
fn fault_of(fields: &BTreeMap<String, String>) -> Option<String> {
    for (name, value) in fields {
        if name.len() > LIMIT_BYTES || value.len() > LIMIT_BYTES {
            let start: String = name.chars().take(40).collect();
            return Some(format!("{}: more than {LIMIT_BYTES} bytes", start.escape_debug()));
        }
        if name.chars().chain(value.chars()).any(char::is_control) {
            return Some(format!("{}: a line break or another control character", name.escape_default()));
        }
    }
    if fields.get("status").is_some_and(|status| status == NOT_SENT) {
        return match fields {
            _ if fields.contains_key("tracking_no") => Some("status: not_sent, and tracking_no says that it left".into()),
            _ if fields.contains_key("order_ref") => None,
            _ => Some("order_ref is missing".into()),
        };
    }
    if let Some(missing) = REQUIRED.iter().find(|wanted| !fields.contains_key(**wanted)) {
        return Some(format!("{missing} is missing"));
    }
    if !is_moment(&fields["dispatched_at"], &LOCAL_TIMES) {
        return Some("dispatched_at: expected a time, such as 2026-03-29 14:05:00".into());
    }
    let number_between = |name: &str, least: f64, most: f64| {
        let value = fields.get(name)?;
        let is_number = value.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'));
        let fits = is_number && value.parse::<f64>().is_ok_and(|number| (least..=most).contains(&number));
        (!fits).then(|| format!("{name}: expected a number from {least} to {most}"))
    };
    let whole = |name: &str| fields.get(name).filter(|value| value.contains('.')).map(|_| format!("{name}: expected a whole number"));
    number_between("temperature_c", -90.0, 60.0)
        .or_else(|| number_between("coolant_units", 0.0, 1_000.0))
        .or_else(|| whole("coolant_units"))
}

#[cfg(test)]
mod tests;
