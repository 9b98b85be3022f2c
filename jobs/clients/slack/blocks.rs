//! An alert as Slack's Block Kit shows it, within its limits.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The longest header, in characters.
const HEADER_LIMIT: usize = 150;
/// The longest text of a section, in characters; of its escaped form.
const TEXT_LIMIT: usize = 3_000;
/// The longest field, in characters; of its escaped form.
const FIELD_LIMIT: usize = 2_000;
/// The most fields of one section.
const FIELDS_PER_SECTION: usize = 10;
/// The most fields that are shown; a message has 50 blocks at most.
const FIELDS_SHOWN: usize = 100;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look today.
    Warning,
    /// Somebody must look now.
    Critical,
}

impl Severity {
    const fn sign(self) -> &'static str {
        match self {
            Self::Info => "ℹ️",
            Self::Warning => "⚠️",
            Self::Critical => "🚨",
        }
    }
}

/// A name and what it is, beside an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// The name.
    pub label: String,
    /// The value.
    pub value: String,
    /// Whether two stand beside each other.
    #[serde(default)]
    pub inline: bool,
}

/// An alert.
#[derive(Debug, Clone)]
pub struct Alert<'a> {
    /// How bad it is.
    pub severity: Severity,
    /// What happened, in a few words.
    pub title: &'a str,
    /// What happened, in a sentence.
    pub message: &'a str,
    /// The figures.
    pub fields: &'a [Field],
    /// What stands small below it.
    pub footer: &'a str,
}

impl Alert<'_> {
    /// The body of the post.
    pub fn body(&self) -> Value {
        let title = format!("{} {}", self.severity.sign(), one_line(self.title));
        let mut blocks =
            vec![json!({ "type": "header", "text": { "type": "plain_text", "text": cut(&title, HEADER_LIMIT), "emoji": true } })];
        // Slack refuses the whole post for the sake of one empty text.
        if has_letters(self.message) {
            blocks.push(json!({ "type": "section", "text": text(self.message, TEXT_LIMIT) }));
        }
        blocks.extend(self.sections());
        if has_letters(self.footer) {
            blocks.push(json!({ "type": "context", "elements": [text(self.footer, FIELD_LIMIT)] }));
        }
        // What phones and screen readers show. Mentions are taken from here too, so it is escaped as well.
        let fallback = format!("{title}: {}", one_line(self.message));
        json!({ "text": cut_escaped(&fallback, TEXT_LIMIT), "blocks": blocks })
    }

    fn sections(&self) -> impl Iterator<Item = Value> {
        let mut shown: Vec<Value> = self
            .fields
            .iter()
            .take(FIELDS_SHOWN)
            .map(|field| {
                let label = cut_escaped(&one_line(&field.label), HEADER_LIMIT);
                let value = cut_escaped(&field.value, FIELD_LIMIT - HEADER_LIMIT - 3);
                json!({ "type": "mrkdwn", "text": format!("*{label}*\n{value}"), "verbatim": true })
            })
            .collect();
        if let Some(more) = self.fields.len().checked_sub(FIELDS_SHOWN).filter(|more| *more > 0) {
            shown.push(json!({ "type": "mrkdwn", "text": format!("and {more} more"), "verbatim": true }));
        }
        let sections: Vec<Value> = shown.chunks(FIELDS_PER_SECTION).map(|fields| json!({ "type": "section", "fields": fields })).collect();
        sections.into_iter()
    }
}

/// A text of somebody else's: verbatim, so that Slack makes no links and no mentions of what looks like some.
fn text(words: &str, limit: usize) -> Value {
    json!({ "type": "mrkdwn", "text": cut_escaped(words, limit), "verbatim": true })
}

/// Whether something is left of it that can be seen.
fn has_letters(words: &str) -> bool {
    words.chars().any(|letter| !letter.is_control() && !letter.is_whitespace())
}

fn one_line(words: &str) -> String {
    let words: String = words.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// So many characters at most, the last of them an ellipsis when it was cut.
fn cut(words: &str, limit: usize) -> String {
    if words.chars().count() <= limit {
        return words.to_owned();
    }
    words.chars().take(limit - 1).chain(['…']).collect()
}

/// Escaped, and cut so that no escape is cut in two. A mention is written `<!channel>`, so without its bracket it is none.
fn cut_escaped(words: &str, limit: usize) -> String {
    let mut escaped = String::new();
    let mut length = 0;
    for letter in words.chars().filter(|letter| !letter.is_control() || *letter == '\n') {
        let mut own = [0; 4];
        let piece: &str = match letter {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            _ => letter.encode_utf8(&mut own),
        };
        let more = piece.chars().count();
        if length + more > limit - 1 {
            escaped.push('…');
            break;
        }
        length += more;
        escaped.push_str(piece);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert<'a>(title: &'a str, message: &'a str, fields: &'a [Field]) -> Value {
        Alert { severity: Severity::Warning, title, message, fields, footer: "rawops" }.body()
    }

    fn longest(value: &Value, key: &str) -> usize {
        match value {
            Value::Object(map) => map
                .iter()
                .map(|(name, inner)| {
                    let own = if name == key { inner.as_str().map_or(0, |text| text.chars().count()) } else { 0 };
                    own.max(longest(inner, key))
                })
                .max()
                .unwrap_or(0),
            Value::Array(list) => list.iter().map(|inner| longest(inner, key)).max().unwrap_or(0),
            _ => 0,
        }
    }

    #[test]
    fn an_alert_has_a_header_a_text_figures_and_a_fallback() {
        let fields = [Field { label: "Depth".into(), value: "120".into(), inline: true }];
        let body = alert("Outbox", "120 messages are unsent", &fields);
        assert_eq!(body["text"], "⚠️ Outbox: 120 messages are unsent");
        let kinds: Vec<_> =
            body["blocks"].as_array().expect("blocks").iter().map(|block| block["type"].as_str().expect("a type")).collect();
        assert_eq!(kinds, ["header", "section", "section", "context"]);
        assert_eq!(body["blocks"][2]["fields"][0]["text"], "*Depth*\n120");
    }

    #[test]
    fn what_a_customer_wrote_mentions_nobody_and_links_nowhere() {
        let body = alert(
            "<!channel> & co",
            "see <https://evil.com|here> @here <@U1>",
            &[Field { label: "<!here>".into(), value: "<#C1>".into(), inline: false }],
        );
        // A header is plain text, in which nothing is read as a mention.
        let texts = json!([body["text"], body["blocks"].as_array().map(|blocks| &blocks[1..])]).to_string();
        assert!(["<!", "<@", "<#", "<http"].iter().all(|sign| !texts.contains(sign)), "{texts}");
        assert_eq!(body["blocks"][0]["text"]["type"], "plain_text");
        assert_eq!(body["blocks"][1]["text"]["verbatim"], true);
    }

    #[test]
    fn everything_stays_within_the_limits() {
        let long = "<&é\n".repeat(5_000);
        let fields: Vec<Field> = (0..500).map(|_| Field { label: long.clone(), value: long.clone(), inline: false }).collect();
        let body = alert(&long, &long, &fields);
        let blocks = body["blocks"].as_array().expect("blocks");
        assert!(blocks.len() <= 50, "{}", blocks.len());
        assert!(blocks[0]["text"]["text"].as_str().expect("text").chars().count() <= 150);
        assert!(longest(&body, "text") <= 3_000);
        for block in &blocks[2..] {
            for field in block["fields"].as_array().into_iter().flatten() {
                assert!(field["text"].as_str().expect("text").chars().count() <= 2_000);
            }
            assert!(block["fields"].as_array().is_none_or(|fields| fields.len() <= 10));
        }
        assert!(body.to_string().contains("and 400 more"));
    }

    #[test]
    fn a_text_of_which_nothing_can_be_seen_is_left_out() {
        let body = Alert { severity: Severity::Info, title: "a\u{1b}[31m", message: "\u{0}\n", fields: &[], footer: "\u{7}" }.body();
        assert_eq!(body["blocks"].as_array().map(Vec::len), Some(1), "{body}");
        assert_eq!(body["blocks"][0]["text"]["text"], "ℹ️ a [31m");
    }

    #[test]
    fn an_escape_is_never_cut_in_two() {
        for limit in 5..20 {
            let cut = cut_escaped("a<b&c>d<e", limit);
            assert!(cut.chars().count() <= limit, "{limit}: {cut}");
            let bare = cut.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
            assert!(!bare.contains('&'), "{limit}: {cut}");
        }
    }
}
