//! Files that other houses write: what the packer has sent, and what a logger has measured.

use jobs::{couriers::temperature_log, dispatch::file};

use super::documents::judge_moment;
use crate::{Seen, Target, Verdict, judge_words, promise};

/// A file of the packer, as CSV or JSON.
pub const DISPATCH: Target = Target {
    name: "dispatch_file",
    promise: "each row is one that can be stored, and one without a fault has what a parcel needs; a wrong row keeps no other out",
    words: &[
        "order_ref",
        "tracking_no",
        "dispatched_at",
        "temperature_c",
        "coolant_units",
        ",",
        ";",
        "\n",
        "\r\n",
        "\"",
        "PR#1001",
        "2026-03-29 14:05:00",
        "2026-03-29T14:05:00+01:00",
        "-18.5",
        "{\"rows\": [",
        "{\"order_ref\": ",
        "]}",
        "+262000-01-01 00:00",
    ],
    check: dispatch,
};

/// A file of a temperature logger.
pub const TEMPERATURES: Target = Target {
    name: "temperature_log",
    promise: "readings are in order, one a moment, within what a logger measures; what is no such file is refused in one sentence",
    words: &[
        "Time",
        "Temperature",
        "Date",
        "Celsius",
        "Fahrenheit",
        "UTC",
        ",",
        ";",
        "\t",
        "\n",
        "2026-03-29 01:30:00",
        "29/03/2026 01:30",
        "29.03.2026 02:30:00",
        "-18,5",
        "−18.5 °C",
        "1e9",
        "99999-01-01 00:00:00",
    ],
    check: temperatures,
};

/// Longest name and value that are kept, in characters.
const LONGEST: usize = 200;

fn dispatch(input: &[u8]) -> Verdict {
    let rows = match file::parse(input) {
        Ok(rows) => rows,
        Err(refusal) => {
            judge_words(&refusal.to_string())?;
            return Ok(Seen::refused(&refusal.to_string()));
        }
    };
    promise(rows.len() <= 10_000, || format!("{} rows were taken", rows.len()))?;
    for row in &rows {
        for text in row.said.keys().chain(row.said.values()).chain([&row.order_ref]) {
            let is_storable = text.chars().count() <= LONGEST && !text.chars().any(char::is_control);
            promise(is_storable, || format!("{text:?} is kept of a row"))?;
        }
        if let Some(fault) = &row.fault {
            judge_words(fault)?;
            continue;
        }
        let word = |name: &str| row.said.get(name).map(String::as_str).unwrap_or_default();
        if word("status") == "not_sent" {
            promise(word("tracking_no").is_empty() && !row.order_ref.is_empty(), || format!("nothing is wrong with {:?}", row.said))?;
            continue;
        }
        promise(!word("tracking_no").is_empty() && !row.order_ref.is_empty(), || format!("nothing is wrong with {:?}", row.said))?;
        judge_moment(word("dispatched_at"))?;
        let whole = word("coolant_units");
        let is_whole = whole.is_empty() || whole.parse::<i16>().is_ok_and(|units| (0..=1_000).contains(&units));
        promise(is_whole, || format!("coolant_units is {whole:?}"))?;
    }
    let sound = rows.iter().filter(|row| row.fault.is_none()).count();
    match rows.iter().find_map(|row| row.fault.as_ref()) {
        Some(fault) if sound == 0 => Ok(Seen::refused(fault)),
        _ => Ok(Seen::taken(format_args!("{} sound, {} not", sound.min(3), (rows.len() - sound).min(3)))),
    }
}

fn temperatures(input: &[u8]) -> Verdict {
    let readings = match temperature_log::parse(input) {
        Ok(readings) => readings,
        Err(refusal) => {
            judge_words(&refusal.to_string())?;
            return Ok(Seen::refused(&refusal.to_string()));
        }
    };
    promise((1..=45_000).contains(&readings.len()), || format!("{} readings were taken", readings.len()))?;
    promise(readings.windows(2).all(|pair| pair[0].at < pair[1].at), || "two readings are not in order".into())?;
    for reading in &readings {
        promise(reading.hundredths.abs() <= 10_000, || format!("{} hundredths of a degree", reading.hundredths))?;
        judge_moment(&reading.at.format("%Y-%m-%d %H:%M:%S").to_string())?;
    }
    // What was read is read again from the plainest way to write it.
    let lines = readings.iter().map(|reading| {
        let (at, degrees) = (reading.at.to_rfc3339(), reading.hundredths);
        format!("{at},{}{}.{:02}\n", if degrees < 0 { "-" } else { "" }, degrees.abs() / 100, degrees.abs() % 100)
    });
    let plain = lines.fold("time,temperature\n".to_owned(), |file, line| file + &line);
    let again = temperature_log::parse(plain.as_bytes()).map_err(|refusal| format!("its own writing is refused: {refusal}"))?;
    promise(again == readings, || "its own writing is read as something else".into())?;
    Ok(Seen::taken(readings.len().min(3)))
}
