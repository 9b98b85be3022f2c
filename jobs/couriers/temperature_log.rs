//! The file of a temperature logger: what it measured, whichever maker wrote it.
//!
//! Makers agree on little: lines about the device come first, columns are divided by commas, semicolons or tabs, and dates are
//! written as in Britain or as in ISO 8601. What is needed is a line that names a time and a temperature, and readings below it.

use std::ops::Range;

use chrono::{DateTime, Datelike, LocalResult, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Europe::London;

use crate::orders::shopify_order::Refusal;

/// How many lines may come before the names of the columns.
const PREFACE: usize = 200;
/// The most readings of one file: a reading a minute for a month.
const LIMIT: usize = 45_000;
/// Beyond this no logger measures, in hundredths of a degree Celsius, below and above zero.
const RANGE: f64 = 10_000.0;

/// The years of a sound clock. `29/03/26` is read as the year 26, and is none.
const CENTURY: Range<i32> = 2000..2100;

const FORMS: [&str; 12] = [
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y %I:%M:%S %p",
    "%d-%m-%Y %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
];

/// One reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// When.
    pub at: DateTime<Utc>,
    /// Hundredths of a degree Celsius.
    pub hundredths: i32,
}

/// Where the columns are, and how they are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Columns {
    time: usize,
    /// The date, where it has a column of its own.
    date: Option<usize>,
    temperature: usize,
    is_fahrenheit: bool,
    is_utc: bool,
}

/// The readings of a file, in the order of time; of two of one moment the warmer one.
///
/// # Errors
/// [`Refusal`] says why it is no such file, and where.
pub fn parse(bytes: &[u8]) -> Result<Vec<Reading>, Refusal> {
    if bytes.contains(&0) {
        return Err(Refusal("the file holds the character U+0000: save it as UTF-8".into()));
    }
    let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
    let mut refusal = Refusal("no line names a time and a temperature".into());
    for delimiter in [b';', b'\t', b','] {
        let mut rows = lines(&text, delimiter);
        let Some(columns) = rows.by_ref().take(PREFACE).find_map(|row| Columns::named(&row)) else { continue };
        match columns.read(&rows.collect::<Vec<_>>()) {
            Ok(readings) => return Ok(in_order(readings)),
            Err(reason) => refusal = reason,
        }
    }
    Err(refusal)
}

fn in_order(mut readings: Vec<Reading>) -> Vec<Reading> {
    readings.sort_unstable_by_key(|reading| (reading.at, -reading.hundredths));
    readings.dedup_by_key(|reading| reading.at);
    readings
}

/// The rows of a file; one that cannot be read at all is an empty one.
fn lines(text: &str, delimiter: u8) -> impl Iterator<Item = Vec<String>> + '_ {
    let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(text.as_bytes());
    reader.into_records().map(|row| row.map_or_else(|_| Vec::new(), |row| row.iter().map(|field| field.trim().to_owned()).collect()))
}

impl Columns {
    /// The columns that a line names; none when it names no time or no temperature.
    fn named(row: &[String]) -> Option<Self> {
        let names: Vec<String> = row.iter().map(|name| name.to_lowercase()).collect();
        let place = |test: &dyn Fn(&str) -> bool| names.iter().position(|name| test(name));
        let temperature = place(&|name| name.contains("temp") || name.contains("celsius") || name.contains("fahrenheit"))?;
        let date = place(&|name| name.contains("date") && !name.contains("time"));
        let time = place(&|name| name.contains("time")).or(date).filter(|time| *time != temperature)?;
        let unit = names[temperature].split(|letter: char| !letter.is_ascii_alphanumeric()).rfind(|word| !word.is_empty());
        let is_utc = names[time].contains("utc") || names[time].contains("gmt");
        Some(Self {
            time,
            date: date.filter(|date| *date != time),
            temperature,
            is_fahrenheit: unit.is_some_and(|unit| matches!(unit, "f" | "fahrenheit")),
            is_utc,
        })
    }

    /// Reads the rows below the names. A few that cannot be read are the device's own notes; many are another file.
    fn read(self, rows: &[Vec<String>]) -> Result<Vec<Reading>, Refusal> {
        let mut readings: Vec<Reading> = Vec::new();
        let (mut filled, mut first_wrong) = (0, None);
        for (place, row) in rows.iter().enumerate().filter(|(_, row)| row.iter().any(|field| !field.is_empty())) {
            filled += 1;
            let before = readings.last().map(|reading| reading.at);
            match self.reading(row, before) {
                Some(reading) if readings.len() < LIMIT => readings.push(reading),
                Some(_) => return Err(Refusal(format!("the file has more than {LIMIT} readings"))),
                None => _ = first_wrong.get_or_insert(place + 1),
            }
        }
        match first_wrong {
            _ if readings.is_empty() => Err(Refusal("the file has no reading".into())),
            Some(place) if (filled - readings.len()) * 10 > filled => {
                Err(Refusal(format!("{} of {filled} rows are no readings; the first is row {place}", filled - readings.len())))
            }
            _ => Ok(readings),
        }
    }

    fn reading(self, row: &[String], before: Option<DateTime<Utc>>) -> Option<Reading> {
        let time = row.get(self.time)?;
        let time = match self.date {
            Some(date) => format!("{} {time}", row.get(date)?),
            None => time.clone(),
        };
        let degrees = number(row.get(self.temperature)?)?;
        let hundredths = if self.is_fahrenheit { (degrees - 32.0) / 1.8 } else { degrees } * 100.0;
        let is_measured = hundredths.abs() <= RANGE;
        // The range fits.
        let hundredths = hundredths.round() as i32;
        let at = moment(&time, self.is_utc, before).filter(|at| CENTURY.contains(&at.year()))?;
        Some(Reading { at, hundredths }).filter(|_| is_measured)
    }
}

/// A number, with a point or a comma, and perhaps its unit.
fn number(text: &str) -> Option<f64> {
    let plain: String = text.replace('−', "-").replace(',', ".");
    let plain = plain.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    plain.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// A time. Without a zone it is London's; of an hour that comes twice the second one, where the reading before was in the first.
fn moment(text: &str, is_utc: bool, before: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    let time = FORMS.iter().find_map(|form| NaiveDateTime::parse_from_str(text.trim(), form).ok())?;
    if is_utc {
        return Some(time.and_utc());
    }
    match London.from_local_datetime(&time) {
        LocalResult::Single(time) => Some(time.to_utc()),
        LocalResult::Ambiguous(first, second) => {
            Some(if before.is_some_and(|before| before >= first.to_utc()) { second.to_utc() } else { first.to_utc() })
        }
        LocalResult::None => None,
    }
}

#[cfg(test)]
mod tests;
