//! The file for the packer.

use std::collections::HashSet;

use jobs::export::manifest::{File, Line, Sorted, VERSION};
use uuid::Uuid;

use crate::{Seen, Target, Verdict, judge_words, promise};

/// Lines of an order: fields with tabs between them, the first of them the order.
pub const FILE: Target = Target {
    name: "export_file",
    promise: "whatever is written is read back as it was by a reader of another kind, and no field is a formula in any spreadsheet",
    words: &["\t", "\n", "=1+1", "+44 7700 900123", "-", "@SUM(A1)", "\"", ";=cmd", ",", "\u{feff}=1", "＝1", "PR#1001", "BATCH-1"],
    check,
};

/// Where a field begins to be a formula, for whoever opens the file.
const FORMULA: &str = "=+-@＝＋－＠\t\r\n\0";

fn check(input: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(input);
    let lines: Vec<Line> = text.split('\n').take(50).map(line).collect();
    let sorted = Sorted::of(&lines);
    for why in sorted.held.values() {
        judge_words(why)?;
    }
    let orders: HashSet<Uuid> = lines.iter().map(|line| line.order_id).collect();
    promise(orders.iter().all(|order| sorted.orders.contains_key(order) != sorted.held.contains_key(order)), || {
        "an order is in the file and held, or neither".into()
    })?;
    let whole = lines.iter().filter(|line| sorted.orders.contains_key(&line.order_id)).count();
    promise(sorted.rows.len() == whole, || format!("{} lines of {whole} are written", sorted.rows.len()))?;
    let file = File::write("batch", VERSION, &sorted.document()).map_err(|error| format!("it cannot be written: {error}"))?;
    let again = File::write("batch", VERSION, &sorted.document()).map_err(|error| error.to_string())?;
    promise(file == again, || "two writings differ".into())?;
    let read = read(std::str::from_utf8(&file.bytes).map_err(|error| error.to_string())?)?;
    promise(read[1..] == sorted.rows[..], || format!("{:?} is read back as {:?}", sorted.rows, &read[1..]))?;
    // Where a semicolon divides fields, as in half of Europe, what follows one is a field too.
    for part in sorted.rows.iter().flatten().flat_map(|field| field.split(';')) {
        let seen = part.trim_start_matches(|letter: char| letter.is_whitespace() || "\"'\u{200b}\u{feff}\u{2060}".contains(letter));
        promise(!seen.starts_with(|letter| FORMULA.contains(letter)), || format!("{part:?} is a formula"))?;
    }
    match sorted.held.values().next() {
        Some(why) if sorted.rows.is_empty() => Ok(Seen::refused(why)),
        _ => Ok(Seen::taken(format_args!("{} and {}", sorted.rows.len().min(3), sorted.held.len().min(2)))),
    }
}

fn line(text: &str) -> Line {
    let mut fields = text.split('\t').map(|field| Some(field.to_owned()).filter(|field| !field.is_empty()));
    let mut next = || fields.next().flatten();
    let order_ref = next().unwrap_or_default();
    Line {
        order_id: Uuid::from_u128(order_ref.bytes().fold(7, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))),
        order_ref,
        ship_name: next(),
        ship_phone: next(),
        ship_address1: next(),
        ship_address2: next(),
        ship_city: next(),
        ship_postcode: next(),
        ship_country: next(),
        sku: next(),
        batch_code: next(),
        quantity: next().and_then(|units| units.parse().ok()),
        box_size: next(),
        insulation: next(),
        ..Line::default()
    }
}

/// A reader of RFC 4180 that has nothing in common with the writer.
fn read(text: &str) -> Result<Vec<Vec<String>>, String> {
    let mut rows = Vec::new();
    let mut letters = text.chars().peekable();
    while letters.peek().is_some() {
        let mut row = Vec::new();
        loop {
            let mut field = String::new();
            if letters.next_if_eq(&'"').is_some() {
                loop {
                    match letters.next().ok_or("a quotation without an end")? {
                        '"' if letters.next_if_eq(&'"').is_some() => field.push('"'),
                        '"' => break,
                        letter => field.push(letter),
                    }
                }
            } else {
                while let Some(letter) = letters.next_if(|letter| !matches!(letter, ',' | '\r' | '\n')) {
                    field.push(letter);
                }
            }
            row.push(field);
            match letters.next() {
                Some(',') => {}
                Some('\r') if letters.next() == Some('\n') => break,
                other => return Err(format!("after a field comes {other:?}")),
            }
        }
        rows.push(row);
    }
    Ok(rows)
}
