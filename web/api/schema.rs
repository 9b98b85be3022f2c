//! The schemas of what is sent and answered, as parts of one document.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// The schema of a request's body.
pub(super) fn of_request<T: JsonSchema>() -> Value {
    whole::<T>(SchemaSettings::draft2020_12().for_deserialize())
}

/// The parameters of a query, each with its schema: what is null in Rust is left out there.
pub(super) fn of_query<T: JsonSchema>() -> Vec<(String, Value)> {
    let mut query = of_request::<T>();
    let Value::Object(parameters) = query["properties"].take() else { return Vec::new() };
    parameters.into_iter().map(|(name, schema)| (name, never_null(schema))).collect()
}

fn never_null(mut schema: Value) -> Value {
    let mut types = schema["type"].as_array().into_iter().flatten().filter(|one| **one != "null");
    if let Some(only) = types.next().cloned() {
        schema["type"] = only;
    }
    schema
}

/// The schema of an answer: what may be missing in a request is there, and null.
pub(super) fn of_answer<T: JsonSchema>() -> Value {
    whole::<T>(SchemaSettings::draft2020_12().for_serialize())
}

/// A schema that refers to nothing: within the document, `#` is the document.
fn whole<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let settings = settings.with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>().into()
}

/// A schema as it stands at this place of the document, where its own parts are below that place.
pub(super) fn moved(mut schema: Value, place: &str) -> Value {
    if let Some(members) = schema.as_object_mut() {
        members.remove("$schema");
    }
    refer(&mut schema, place);
    schema
}

fn refer(schema: &mut Value, place: &str) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| refer(item, place)),
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(target) if name == "$ref" && target.starts_with('#') => target.insert_str(1, place),
                    member => refer(member, place),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What may be asked for.
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Asked {
        /// How many.
        #[schemars(range(min = 1, max = 9))]
        limit: Option<u16>,
    }

    #[test]
    fn a_parameter_of_a_query_is_there_or_not_and_never_null() {
        let expected = json!({ "description": "How many.", "type": "integer", "format": "uint16", "minimum": 1, "maximum": 9 });
        assert_eq!(of_query::<Asked>(), [("limit".to_string(), expected)]);
    }

    #[test]
    fn what_a_schema_refers_to_moves_with_it() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "properties": {
                "check": { "$ref": "#/$defs/Check" },
                "all": { "items": [{ "$ref": "#" }] },
                "other": { "$ref": "https://a.b/c" },
            },
            "$defs": { "Check": { "type": "string" } },
        });
        let expected = json!({
            "properties": {
                "check": { "$ref": "#/components/schemas/a/$defs/Check" },
                "all": { "items": [{ "$ref": "#/components/schemas/a" }] },
                "other": { "$ref": "https://a.b/c" },
            },
            "$defs": { "Check": { "type": "string" } },
        });
        assert_eq!(moved(schema, "/components/schemas/a"), expected);
    }
}
