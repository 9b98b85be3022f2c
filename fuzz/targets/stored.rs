//! What stands in columns and headers: arguments of jobs, places in traces, postcodes.

use std::sync::LazyLock;

use engine::{JobId, Kinds, trace::TraceParent};
use jobs::packing::postcode::Postcode;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::{Seen, Target, Verdict, input::parts, judge_words, promise};

/// A kind, and arguments.
pub const ARGUMENTS: Target = Target {
    name: "job_arguments",
    promise: "arguments decode as their kind or are refused by its name, whatever stands in the column, and a number stays the number; \
              what the door lets in decodes, and what it refuses it refuses in a line without their values",
    words: &[
        "\"_version\":",
        "orders.process_order",
        "\"inbox_id\":",
        "dispatch.read_file",
        "outbox.deliver_message",
        "monitors.run_monitor",
        "null",
        "1e400",
        "18446744073709551616",
        "[]",
        "{}",
        "\"\\u0000\"",
        "\n----\n",
        "true",
        "\"b54557e4-bdd9-4b37-8a5f-bf7d70bcd043\"",
    ],
    check: arguments,
};

/// A postcode, as people write it.
pub const POSTCODE: Target = Target {
    name: "postcode",
    promise: "what is read is written in one way, which is read as the same, and each of its prefixes begins it",
    words: &["SW1A 1AA", "m1 1ae", "PO10 8AB", " ", "\u{a0}", "GIR 0AA", "BT9", "Ｓ", "0", "O", "W1A0AX"],
    check: postcode,
};

/// The header `traceparent`, and `tracestate` behind it.
pub const TRACE_PARENT: Target = Target {
    name: "trace_parent",
    promise: "what is taken is written as version 00 with the same ids, in 568 characters at most, and that is taken again",
    words: &[
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "-",
        "00",
        "ff",
        "cc",
        "0000000000000000",
        "-01",
        "A",
        " rojo=00f067aa0ba902b7",
        ",congo=t61rcWkgMzE",
    ],
    check: trace_parent,
};

static KINDS: LazyLock<Kinds> = LazyLock::new(jobs::kinds);
/// How the refusal of a kind that is none begins; it has the name as it came.
const UNKNOWN: &str = "this program knows no kind";
/// A text of so many bytes is somebody's, and not by chance a word of the refusal.
const SOMEBODYS: usize = 24;

fn arguments(input: &[u8]) -> Verdict {
    let [kind, args] = parts(input);
    let (kind, args) = (String::from_utf8_lossy(kind), String::from_utf8_lossy(args));
    let decodes = KINDS.check(&kind, &args);
    match KINDS.fit(&kind, &args) {
        Ok(()) => promise(decodes.is_ok(), || format!("let in and undecodable: {decodes:?}"))?,
        Err(words) if !words.starts_with(UNKNOWN) => judge_door(&words, &args)?,
        Err(_) => (),
    }
    match decodes {
        Ok(()) => {
            promise(serde_json::from_str::<IgnoredAny>(&args).is_ok(), || "arguments that are no JSON decode".into())?;
            Ok(Seen::taken(kind))
        }
        Err(words) => {
            promise(words.contains(&*kind), || format!("{words:?} does not name the kind"))?;
            promise(words.len() <= kind.len() + args.len() + 300, || format!("{} bytes of refusal", words.len()))?;
            Ok(Seen::refused(if words.starts_with(UNKNOWN) { "unknown" } else { &words }))
        }
    }
}

/// Judges what a sender of these arguments is told.
fn judge_door(words: &str, args: &str) -> Result<(), String> {
    judge_words(words)?;
    let Ok(args) = serde_json::from_str(args) else { return Ok(()) };
    let (mut values, mut names) = (Vec::new(), Vec::new());
    gather(&args, &mut values, &mut names);
    // A name that a sender made up may stand there.
    let told = values.into_iter().find(|value| words.contains(value) && !names.iter().any(|name| name.contains(value)));
    promise(told.is_none(), || format!("{words:?} tells of {told:?}"))
}

/// The texts of a value that are somebody's, and the names of members.
fn gather<'a>(value: &'a Value, values: &mut Vec<&'a str>, names: &mut Vec<&'a str>) {
    match value {
        Value::String(text) if text.len() >= SOMEBODYS => values.push(text),
        Value::Array(items) => items.iter().for_each(|item| gather(item, values, names)),
        Value::Object(members) => {
            for (name, member) in members {
                names.push(name);
                gather(member, values, names);
            }
        }
        _ => (),
    }
}

fn postcode(input: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(input);
    // A job's id is read beside it: both come from the same keyboards.
    if let Ok(id) = text.parse::<JobId>() {
        promise(id.to_string().parse::<JobId>() == Ok(id), || format!("{id} is not read again"))?;
    }
    let Some(postcode) = Postcode::parse(&text) else { return Ok(Seen::refused("no postcode")) };
    let written = postcode.to_string();
    promise(Postcode::parse(&written).as_ref() == Some(&postcode), || format!("{written} is read as something else"))?;
    let compact: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    promise(compact.eq_ignore_ascii_case(&written.replace(' ', "")), || format!("{text:?} is read as {written}"))?;
    let prefixes = postcode.prefixes();
    promise(prefixes.iter().all(|prefix| written.starts_with(prefix.as_str())), || format!("{prefixes:?} of {written}"))?;
    promise(prefixes.windows(2).all(|pair| pair[0].len() > pair[1].len()), || format!("{prefixes:?} are not in order"))?;
    Ok(Seen::taken(format_args!("{} {}", prefixes.len(), written.len())))
}

fn trace_parent(input: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(input);
    let Ok(parent) = text.parse::<TraceParent>() else { return Ok(Seen::refused("no traceparent")) };
    promise(parent.trace_id() != 0 && parent.span_id() != 0, || "an id is 0".into())?;
    let written = parent.text();
    promise(written.len() <= 568, || format!("{written} is too long"))?;
    promise(written.parse::<TraceParent>() == Ok(parent.clone()), || format!("{written} is read as something else"))?;
    promise(text.get(2..52) == written.get(2..52), || format!("{text:?} is handed on as {written}"))?;
    Ok(Seen::taken(format_args!("{} {} {}", parent.is_sampled(), parent.state().is_some(), text.len().min(56))))
}
