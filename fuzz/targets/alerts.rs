//! Words for people: alerts in Slack and mails by Customer.io.

use jobs::clients::{
    customerio::Email,
    slack::{Alert, Field, Severity},
};
use serde_json::Value;

use crate::{Seen, Target, Verdict, input::texts, judge_words, promise};

/// A title, a message, a footer, and fields: a line each, with a tab between name and value.
pub const SLACK: Target = Target {
    name: "slack_alert",
    promise: "an alert is within Slack's limits, has no empty text, mentions nobody and links nowhere, whatever is in it",
    words: &["<!channel>", "<@U1>", "<http://x|y>", "&", "<", ">", "\t", "\n", "\n----\n", "*", "`", "@here", "\u{7}"],
    check: alert,
};

/// What a row of the outbox holds.
pub const MAIL: Target = Target {
    name: "mail",
    promise: "a mail goes to one address, and nothing in it begins another header",
    words: &[
        "\"to\":",
        "\"ann@example.com\"",
        "\"subject\":",
        "\\r\\nBcc: x@example.com",
        "\"headers\":",
        "\"transactional_message_id\":",
        "3",
        "\"from\":",
        "\"body\":",
        "\"reply_to\":",
        ",",
        ";",
        "\"bcc\":",
        "null",
    ],
    check: mail,
};

fn alert(input: &[u8]) -> Verdict {
    let [title, message, footer, fields] = texts(input);
    let field = |line: &str| {
        let (label, value) = line.split_once('\t').unwrap_or((line, ""));
        Field { label: label.into(), value: value.into(), inline: false }
    };
    let fields: Vec<Field> = fields.lines().map(field).collect();
    let body = Alert { severity: Severity::Warning, title: &title, message: &message, fields: &fields, footer: &footer }.body();
    let blocks = body["blocks"].as_array().ok_or("there are no blocks")?;
    promise((1..=50).contains(&blocks.len()), || format!("{} blocks", blocks.len()))?;
    judge_text(&body["text"], 3_000, true)?;
    for (place, block) in blocks.iter().enumerate() {
        if place == 0 {
            promise(block["text"]["type"] == "plain_text", || "the header is no plain text".into())?;
            judge_text(&block["text"]["text"], 150, false)?;
            continue;
        }
        if let Some(text) = block.get("text") {
            judge_text(&text["text"], 3_000, true)?;
        }
        for (list, most, longest) in [("fields", 10, 2_000), ("elements", 10, 2_000)] {
            let Some(texts) = block[list].as_array() else { continue };
            promise((1..=most).contains(&texts.len()), || format!("{} {list}", texts.len()))?;
            texts.iter().try_for_each(|text| judge_text(&text["text"], longest, true))?;
        }
    }
    Ok(Seen::taken(format_args!("{} blocks, cut {}", blocks.len().min(4), body.to_string().contains('…'))))
}

fn judge_text(text: &Value, longest: usize, is_markdown: bool) -> Result<(), String> {
    let text = text.as_str().ok_or("a text is none")?;
    let length = text.chars().count();
    promise((1..=longest).contains(&length) && !text.trim().is_empty(), || {
        format!("a text has {length} characters, of {longest}: {text:?}")
    })?;
    promise(!text.chars().any(|letter| letter.is_control() && letter != '\n'), || format!("a control character in {text:?}"))?;
    if is_markdown {
        let bare = ["&amp;", "&lt;", "&gt;"].iter().fold(text.to_owned(), |bare, escape| bare.replace(escape, ""));
        promise(!bare.contains(['<', '>', '&']), || format!("not escaped, or an escape cut in two: {text:?}"))?;
    }
    Ok(())
}

fn mail(input: &[u8]) -> Verdict {
    let Ok(payload) = serde_json::from_slice::<Value>(input) else { return Ok(Seen::refused("no JSON")) };
    let mail = match Email::of(&payload) {
        Ok(mail) => mail,
        Err(words) => {
            judge_words(&words)?;
            return Ok(Seen::refused(&words));
        }
    };
    // `message_data` is for the vendor's template, `body` is the text: neither is a header.
    let fields = mail.fields();
    for (name, value) in fields {
        let is_header = !matches!(name.as_str(), "message_data" | "body" | "body_plain" | "attachments" | "identifiers");
        promise(!is_header || texts_of(value).all(|text| !text.contains(char::is_control)), || {
            format!("{name} begins another header: {value}")
        })?;
    }
    let to = fields["to"].as_str().unwrap_or_default();
    promise(to.matches('@').count() == 1 && !to.contains([',', ';', '<', '>']), || format!("it goes to {to:?}"))?;
    Ok(Seen::taken(fields.len()))
}

/// Every text in a value, names of fields included.
fn texts_of(value: &Value) -> Box<dyn Iterator<Item = &str> + '_> {
    match value {
        Value::String(text) => Box::new(std::iter::once(text.as_str())),
        Value::Array(values) => Box::new(values.iter().flat_map(texts_of)),
        Value::Object(fields) => Box::new(fields.iter().flat_map(|(name, value)| std::iter::once(name.as_str()).chain(texts_of(value)))),
        _ => Box::new(std::iter::empty()),
    }
}
