//! One question or change by GraphQL, paid for out of the budget.

use engine::{Category, Run};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    super::http::{Answer, Call, CallError, Method, Reached},
    Account, Shopify, TOKEN,
    budget::Cost,
};

#[derive(Deserialize)]
struct Envelope<D> {
    data: Option<D>,
    #[serde(default)]
    errors: Value,
    #[serde(default)]
    extensions: Extensions,
}

#[derive(Default, Deserialize)]
struct Extensions {
    #[serde(default)]
    cost: Option<Cost>,
}

impl Shopify {
    /// Sends one document with its variables and reads the data of its answer.
    ///
    /// # Errors
    /// [`CallError`]; of category `rate_limited` when the points are used up, with the time until there are enough.
    pub(super) async fn ask<D: DeserializeOwned>(&self, document: &str, variables: &Value, run: &Run) -> Result<D, CallError> {
        let account = self.account()?;
        if let Err(wait) = self.budget.turn().await {
            let error = account.client.error(Reached::Nothing, Category::RateLimited, "the points of its API are used up");
            return Err(CallError { retry_after: Some(wait), ..error });
        }
        let body = json!({ "query": document, "variables": variables });
        let call = account.call(Method::Post, &["graphql.json"], run).json(&body).map_err(|error| account.wrong(error.to_string()))?;
        let answer = account.client.send(&call).await?;
        self.open(account, &answer)
    }

    fn open<D: DeserializeOwned>(&self, account: &Account, answer: &Answer) -> Result<D, CallError> {
        let status = Reached::Answered(answer.status);
        let unreadable = |words: String| account.client.error(status, Category::Upstream, format!("its answer cannot be read: {words}"));
        // Looked at as any value first: what was refused has no data of this form.
        let envelope: Envelope<Value> = answer.json().map_err(|error| unreadable(error.to_string()))?;
        if let Some(cost) = &envelope.extensions.cost {
            self.budget.note(cost);
        }
        // It says so with status 200.
        if envelope.errors.as_array().is_some_and(|errors| !errors.is_empty()) || envelope.errors.is_string() {
            return Err(account.refused(status, &envelope.errors, envelope.extensions.cost.as_ref()));
        }
        let data = envelope.data.ok_or_else(|| unreadable("it has no data".into()))?;
        serde_json::from_value(data).map_err(|error| unreadable(error.to_string()))
    }
}

impl Account {
    pub(super) fn call(&self, method: Method, path: &[&str], run: &Run) -> Call {
        let path = ["admin", "api", self.version.as_str()].into_iter().chain(path.iter().copied());
        Call::new(method, path).key(TOKEN, self.token.text()).on_behalf_of(run)
    }

    fn wrong(&self, words: String) -> CallError {
        self.client.error(Reached::Nothing, Category::Validation, words)
    }

    /// Errors in an answer of status 200. What lacks points waits until there are enough; the rest does not pass by itself.
    fn refused(&self, status: Reached, errors: &Value, cost: Option<&Cost>) -> CallError {
        let codes: Vec<&str> = errors.as_array().into_iter().flatten().filter_map(|error| error["extensions"]["code"].as_str()).collect();
        let words = self.client.clean(errors[0]["message"].as_str().or(errors.as_str()).unwrap_or("no reason given"));
        if codes.contains(&"THROTTLED") || words == "Throttled" {
            let error = self.client.error(status, Category::RateLimited, words);
            return CallError { retry_after: cost.map(Cost::wait).filter(|wait| !wait.is_zero()), ..error };
        }
        let category = match codes.first() {
            Some(&"ACCESS_DENIED") => Category::Auth,
            Some(&"INTERNAL_SERVER_ERROR") => Category::Upstream,
            _ => Category::Validation,
        };
        self.client.error(status, category, format!("refused: {words}"))
    }
}
