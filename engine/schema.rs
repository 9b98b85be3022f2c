//! What a kind's JSON schema says of arguments, in words that leave their values out: they may be somebody's name.

use std::{
    error::Error,
    fmt::Display,
    sync::{Arc, OnceLock},
};

use boon::{Compiler, Draft, ErrorKind, SchemaIndex, Schemas, UrlLoader, ValidationError};
use serde_json::Value;

/// What the schema is called while it is compiled; nothing is read from there.
const PLACE: &str = "arguments:///schema";
/// The most faults that are told of.
const FAULTS: usize = 3;
/// The most bytes of a place in the arguments, and of what is wrong there: the sender made up the names of both.
const PLACE_BYTES: usize = 120;
const CAUSE_BYTES: usize = 240;

/// The schema of a kind, compiled when it is first asked and once for all copies.
#[derive(Clone)]
pub(crate) struct Schema {
    text: fn() -> Value,
    compiled: Arc<OnceLock<Result<Compiled, String>>>,
}

struct Compiled {
    schemas: Schemas,
    root: SchemaIndex,
}

impl Schema {
    pub(crate) fn new(text: fn() -> Value) -> Self {
        Self { text, compiled: Arc::default() }
    }

    /// Whether the arguments, brought to today's shape, are as the schema says; else where they are not, by JSON pointers, and why.
    pub(crate) fn check(&self, args: &Value) -> Result<(), String> {
        let compiled = self.compiled.get_or_init(|| compile((self.text)()).map_err(|error| format!("is no schema itself: {error}")));
        let Compiled { schemas, root } = compiled.as_ref().map_err(Clone::clone)?;
        schemas.validate(args, *root).map_err(|refusal| {
            let mut faults = Vec::new();
            gather(&refusal, &mut faults);
            faults.join("; ")
        })
    }
}

fn compile(schema: Value) -> Result<Compiled, Box<dyn Error>> {
    let mut compiler = Compiler::new();
    compiler.set_default_draft(Draft::V2020_12);
    compiler.enable_format_assertions();
    compiler.use_loader(Box::new(Nothing));
    compiler.add_resource(PLACE, schema)?;
    let mut schemas = Schemas::new();
    let root = compiler.compile(PLACE, &mut schemas)?;
    Ok(Compiled { schemas, root })
}

/// Loads nothing: a schema is whole, and neither files nor the network are asked for parts of it.
struct Nothing;

impl UrlLoader for Nothing {
    fn load(&self, url: &str) -> Result<Value, Box<dyn Error>> {
        Err(format!("it refers to {url}, which is no part of it").into())
    }
}

/// The innermost faults, each with its place.
fn gather(error: &ValidationError, faults: &mut Vec<String>) {
    let inner = match error.kind {
        ErrorKind::Group | ErrorKind::Schema { .. } | ErrorKind::Reference { .. } | ErrorKind::AllOf => error.causes.iter().collect(),
        ErrorKind::AnyOf | ErrorKind::OneOf(None) => meant(error).into_iter().collect(),
        _ => Vec::new(),
    };
    for cause in &inner {
        gather(cause, faults);
    }
    if inner.is_empty() && faults.len() < FAULTS {
        let cause = one_of(&error.causes).unwrap_or_else(|| said(&error.kind));
        let (place, cause) = (cut(error.instance_location.to_string(), PLACE_BYTES), cut(cause, CAUSE_BYTES));
        faults.push(if place.is_empty() { cause } else { format!("{place}: {cause}") });
    }
}

/// Of the shapes that something may have, the only one that is of its type: an optional date is no date, and not nothing.
fn meant<'a, 's, 'v>(error: &'a ValidationError<'s, 'v>) -> Option<&'a ValidationError<'s, 'v>> {
    let mut others = error.causes.iter().filter(|cause| !matches!(cause.kind, ErrorKind::Type { .. }));
    others.next().filter(|one| others.next().is_none() && !matches!(one.kind, ErrorKind::Const { .. }))
}

/// An enumeration whose members are described one by one is a list of shapes, each with one value.
fn one_of(causes: &[ValidationError]) -> Option<String> {
    let values: Option<Vec<_>> =
        causes.iter().map(|cause| if let ErrorKind::Const { want } = cause.kind { Some(want) } else { None }).collect();
    values.filter(|values| !values.is_empty()).map(|values| format!("none of {}", list(values, ", ")))
}

fn said(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::Type { got, want } => format!("of type {got}, not {}", list(want.iter(), " or ")),
        ErrorKind::Enum { want } => format!("none of {}", list(*want, ", ")),
        ErrorKind::Const { want } => format!("not {want}"),
        ErrorKind::Format { want, .. } => format!("not of the format {want}"),
        ErrorKind::Pattern { want, .. } => format!("does not match the pattern {want}"),
        ErrorKind::Required { want } => format!("lacks {}", list(want, ", ")),
        ErrorKind::AdditionalProperties { got } => format!("may not have {}", list(got, ", ")),
        ErrorKind::MinLength { got, want } => format!("{got} characters, and {want} are the fewest"),
        ErrorKind::MaxLength { got, want } => format!("{got} characters, and {want} are the most"),
        ErrorKind::MinItems { got, want } => format!("{got} items, and {want} are the fewest"),
        ErrorKind::MaxItems { got, want } => format!("{got} items, and {want} are the most"),
        ErrorKind::MinProperties { got, want } => format!("{got} members, and {want} are the fewest"),
        ErrorKind::MaxProperties { got, want } => format!("{got} members, and {want} are the most"),
        ErrorKind::UniqueItems { got: [one, other] } => format!("items {one} and {other} are the same"),
        ErrorKind::Minimum { want, .. } => format!("less than {want}"),
        ErrorKind::Maximum { want, .. } => format!("more than {want}"),
        ErrorKind::ExclusiveMinimum { want, .. } => format!("not more than {want}"),
        ErrorKind::ExclusiveMaximum { want, .. } => format!("not less than {want}"),
        ErrorKind::MultipleOf { want, .. } => format!("no multiple of {want}"),
        ErrorKind::AnyOf | ErrorKind::OneOf(None) => "none of the shapes that it may have".into(),
        ErrorKind::OneOf(Some(_)) => "of two shapes at once".into(),
        ErrorKind::PropertyName { prop } => format!("{prop} is no name that a member may have"),
        _ => "not as the schema says".into(),
    }
}

fn list<T: Display>(items: impl IntoIterator<Item = T>, between: &str) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(between)
}

/// No more bytes of it than these.
pub(crate) fn cut(mut words: String, bytes: usize) -> String {
    if words.len() > bytes {
        words.truncate(words.floor_char_boundary(bytes));
        words.push('…');
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parcel() -> Value {
        json!({
            "type": "object",
            "required": ["name", "grams"],
            "additionalProperties": false,
            "properties": {
                "name": { "type": "string", "minLength": 2, "maxLength": 5, "pattern": "^[A-Z]" },
                "grams": { "type": "integer", "minimum": 1, "exclusiveMaximum": 100, "multipleOf": 2 },
                "way": { "enum": ["road", "rail"] },
                "size": { "oneOf": [{ "type": "string", "const": "small" }, { "type": "string", "const": "large" }] },
                "on": { "anyOf": [{ "type": "string", "format": "date" }, { "type": "null" }] },
                "lines": { "type": "array", "minItems": 1, "maxItems": 2, "uniqueItems": true, "items": { "$ref": "#/$defs/line" } },
            },
            "$defs": { "line": { "type": "object", "properties": { "id": { "type": "string", "format": "uuid" } } } },
        })
    }

    fn parcel_with(change: Value) -> Value {
        let mut args = json!({ "name": "Ada", "grams": 4 });
        let Value::Object(change) = change else { panic!("{change} is no object") };
        args.as_object_mut().expect("an object").extend(change);
        args
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_without_the_value() {
        let schema = Schema::new(parcel);
        for right in [json!({}), json!({ "on": null, "way": "rail" }), json!({ "on": "2026-02-28", "lines": [{}] })] {
            assert_eq!(schema.check(&parcel_with(right.clone())), Ok(()), "{right}");
        }
        for (wrong, words) in [
            (json!({ "name": 5 }), "/name: of type number, not string"),
            (json!({ "name": "A" }), "/name: 1 characters, and 2 are the fewest"),
            (json!({ "name": "Secret" }), "/name: 6 characters, and 5 are the most"),
            (json!({ "name": "ada" }), "/name: does not match the pattern ^[A-Z]"),
            (json!({ "grams": 0 }), "/grams: less than 1"),
            (json!({ "grams": 100 }), "/grams: not less than 100"),
            (json!({ "grams": 5 }), "/grams: no multiple of 2"),
            (json!({ "grams": 4.5 }), "/grams: of type number, not integer"),
            (json!({ "way": "sea" }), "/way: none of \"road\", \"rail\""),
            (json!({ "size": "secret" }), "/size: none of \"small\", \"large\""),
            (json!({ "on": "soon" }), "/on: not of the format date"),
            (json!({ "on": 5 }), "/on: none of the shapes that it may have"),
            (json!({ "lines": [] }), "/lines: 0 items, and 1 are the fewest"),
            (json!({ "lines": [{}, {}] }), "/lines: items 0 and 1 are the same"),
            (json!({ "lines": [{ "id": "secret" }] }), "/lines/0/id: not of the format uuid"),
            (json!({ "colour": "secret" }), "may not have colour"),
            (json!({ "name": 5, "way": "sea" }), "/name: of type number, not string; /way: none of \"road\", \"rail\""),
        ] {
            let why = schema.check(&parcel_with(wrong.clone())).expect_err("it is refused");
            let mut faults: Vec<_> = why.split("; ").collect();
            faults.sort_unstable();
            assert_eq!(faults.join("; "), words, "{wrong}");
        }
        assert_eq!(schema.check(&json!({})), Err("lacks name, grams".into()));
        assert_eq!(schema.check(&json!(["Ada"])), Err("of type array, not object".into()));
    }

    #[test]
    fn words_are_few_whatever_is_sent() {
        let name = "é".repeat(100_000);
        let lines: Vec<_> = (0..10_000).map(|_| json!(name)).take(2).collect();
        let why = Schema::new(parcel).check(&parcel_with(json!({ &name: 1, "lines": lines, "way": name }))).expect_err("it is refused");
        assert!(why.len() <= FAULTS * (PLACE_BYTES + CAUSE_BYTES + 10), "{} bytes", why.len());
        assert!(!why.contains(&"é".repeat(CAUSE_BYTES)), "{why}");
    }

    #[test]
    fn a_schema_that_is_none_refuses_and_asks_nobody_for_the_rest_of_it() {
        let why = |text: fn() -> Value| Schema::new(text).check(&json!({})).expect_err("no schema");
        assert!(why(|| json!({ "type": "thing" })).starts_with("is no schema itself: "));
        for text in [(|| json!({ "$ref": "file:///etc/hostname" })) as fn() -> Value, || json!({ "$ref": "https://example.com/a" })] {
            assert!(why(text).contains("is no schema itself"), "{}", why(text));
        }
        assert_eq!(Schema::new(|| true.into()).check(&json!(7)), Ok(()), "a kind without a schema takes what it decodes");
    }
}
