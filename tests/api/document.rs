//! What the server says of itself at `/v1/openapi.json`, and whether an answer is as it says.

use std::{cell::RefCell, collections::BTreeSet};

use engine::{Job, JobResult, Kinds, Outcome, Run};
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::Answer;

/// The document, in which no object may have a member that is not described.
pub struct Document(Value);

/// One operation of the document.
pub struct Operation<'a> {
    pub method: Method,
    pub path: &'a str,
    pub said: &'a Value,
}

impl Document {
    /// That of the server at this address. All servers of the tests have the same.
    pub async fn of(url: &Url) -> &'static Self {
        static DOCUMENT: OnceCell<Document> = OnceCell::const_new();
        DOCUMENT
            .get_or_init(|| async {
                let url = url.join("/v1/openapi.json").expect("an address");
                let answer = reqwest::get(url).await.expect("the process answers");
                let mut document: Value = answer.json().await.expect("JSON");
                close(&mut document);
                Self(document)
            })
            .await
    }

    pub fn operations(&self) -> Vec<Operation<'_>> {
        let paths = self.0["paths"].as_object().expect("paths");
        let said = paths.iter().flat_map(|(path, methods)| methods.as_object().expect("methods").iter().map(move |said| (path, said)));
        said.map(|(path, (method, said))| {
            let method = method.to_uppercase().parse().expect("a method");
            Operation { method, path, said }
        })
        .collect()
    }

    /// Where the document says what it says elsewhere.
    pub fn references(&self) -> Vec<&str> {
        let mut references = Vec::new();
        gather(&self.0, &mut references);
        references
    }

    /// What one of [`Self::references`] means.
    pub fn find(&self, reference: &str) -> Option<&Value> {
        self.0.pointer(reference.strip_prefix('#')?)
    }

    /// Fails unless the answer is one that the document names, in the form that it says.
    pub fn check(&self, method: &Method, path: &str, answer: &Answer) {
        let Some(operation) = self.operations().into_iter().find(|operation| operation.is_at(method, path)) else { return };
        let place = format!("{method} {path} was answered {}: {}", answer.status, answer.body);
        let said =
            operation.said["responses"].get(answer.status.to_string()).unwrap_or_else(|| panic!("no such status is described: {place}"));
        let said = said["$ref"].as_str().map_or(said, |reference| self.find(reference).expect("it refers to a refusal"));
        for header in ["Retry-After", "WWW-Authenticate"] {
            assert_eq!(said["headers"][header].is_object(), answer.headers.contains_key(header), "{header}: {place}");
        }
        let form = answer.headers["content-type"].to_str().expect("text");
        assert_eq!(self.faults(&said["content"][form]["schema"], &answer.body), Ok(()), "{place}");
    }

    /// Whether a request's body is as the document says.
    ///
    /// # Errors
    /// What it is not.
    pub fn check_request(&self, path: &str, body: &Value) -> Result<(), String> {
        self.faults(&self.0["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"], body)
    }

    /// The checker has one schema as its document, so this one takes along what it may refer to.
    fn faults(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let mut schema = schema.clone();
        if !schema.is_object() {
            return Err("there is no schema".into());
        }
        schema["components"] = self.0["components"].clone();
        SCHEMA.set(schema);
        Kinds::new().with::<Held>().fit(Held::KIND, &value.to_string())
    }
}

impl Operation<'_> {
    /// The scope that a token needs.
    pub fn scope(&self) -> Option<&str> {
        self.said["security"][0]["token"][0].as_str()
    }

    /// Whether it is described as reading this header.
    pub fn reads(&self, header: &str) -> bool {
        self.said["parameters"].as_array().expect("a list").iter().any(|said| said["in"] == "header" && said["name"] == header)
    }

    /// Whether it is described as reading a query.
    pub fn has_query(&self) -> bool {
        self.said["parameters"].as_array().expect("a list").iter().any(|said| said["in"] == "query")
    }

    pub fn statuses(&self) -> BTreeSet<u16> {
        self.said["responses"].as_object().expect("responses").keys().map(|status| status.parse().expect("a status")).collect()
    }

    fn is_at(&self, method: &Method, path: &str) -> bool {
        let (parts, wanted): (Vec<_>, Vec<_>) = (path.split('/').collect(), self.path.split('/').collect());
        let is_alike = parts.iter().zip(&wanted).all(|(part, wanted)| part == wanted || wanted.starts_with('{'));
        self.method == *method && parts.len() == wanted.len() && is_alike
    }
}

thread_local! {
    /// What [`Held`] is held to. The engine asks for it on the thread that calls.
    static SCHEMA: RefCell<Value> = const { RefCell::new(Value::Null) };
}

/// Any JSON, as if it were the arguments of a job: these are what the engine holds to a schema.
#[derive(Serialize, Deserialize)]
struct Held(Value);

impl Job for Held {
    const KIND: &'static str = "test.held";

    fn schema() -> Value {
        SCHEMA.with_borrow(Clone::clone)
    }

    async fn run(&self, _: &mut Run) -> JobResult {
        Ok(Outcome::done())
    }
}

fn close(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Object(members) => {
            members.values_mut().for_each(close);
            if members.get("properties").is_some_and(Value::is_object) {
                members.insert("additionalProperties".into(), false.into());
            }
        }
        _ => {}
    }
}

fn gather<'a>(value: &'a Value, references: &mut Vec<&'a str>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| gather(item, references)),
        Value::Object(members) => {
            references.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| gather(member, references));
        }
        _ => {}
    }
}
