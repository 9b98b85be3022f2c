//! Orders: which have changed, and one of them whole.

use chrono::{DateTime, SecondsFormat, Utc};
use engine::{Category, Run};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::http::{CallError, Method, Reached},
    SYSTEM, Shopify,
};

/// Orders of one page.
const PAGE: u32 = 100;
/// The largest order that is read, in bytes.
const ORDER_LIMIT: usize = 4 << 20;

const QUERY: &str = "query changed($first: Int!, $after: String, $filter: String!) {
  orders(first: $first, after: $after, query: $filter, sortKey: UPDATED_AT) {
    nodes { legacyResourceId updatedAt }
    pageInfo { hasNextPage endCursor }
  }
}";

/// Orders that have changed, the longest ago first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The orders.
    pub orders: Vec<Changed>,
    /// Where the next page begins; none after the last.
    pub next: Option<String>,
}

/// An order that has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed {
    /// Shopify's id.
    pub id: i64,
    /// When it changed last.
    pub at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Data {
    orders: Orders,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Orders {
    nodes: Vec<Node>,
    page_info: PageInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    legacy_resource_id: String,
    updated_at: DateTime<Utc>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

impl Shopify {
    /// A page of the orders that have changed from `since` to `until`, both included.
    ///
    /// # Errors
    /// [`CallError`]; of category `rate_limited` when the points are used up, with the time until there are enough.
    pub async fn changed_orders(
        &self,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
        after: Option<&str>,
        run: &Run,
    ) -> Result<Page, CallError> {
        let at = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
        let filter = format!("updated_at:>='{}' AND updated_at:<='{}'", at(since), at(until));
        let variables = json!({ "first": PAGE, "after": after, "filter": filter });
        let Data { orders } = self.ask(QUERY, &variables, run).await?;
        let not_a_number = || CallError::new(SYSTEM, Reached::Answered(200), Category::Upstream, "an order's id is no number");
        let changed = orders.nodes.into_iter().map(|node| {
            let id = node.legacy_resource_id.parse().map_err(|_| not_a_number())?;
            Ok(Changed { id, at: node.updated_at })
        });
        Ok(Page {
            orders: changed.collect::<Result<_, CallError>>()?,
            next: orders.page_info.end_cursor.filter(|_| orders.page_info.has_next_page),
        })
    }

    /// One order as webhooks carry it, in Shopify's own text; none when it is gone.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn order(&self, id: i64, run: &Run) -> Result<Option<String>, CallError> {
        let account = self.account()?;
        if let Err(wait) = self.rest.turn().await {
            let error = account.client.error(Reached::Nothing, Category::RateLimited, "it is asked to be left alone");
            return Err(CallError { retry_after: Some(wait), ..error });
        }
        let call = account.call(Method::Get, &["orders", &format!("{id}.json")], run).answer_limit(ORDER_LIMIT);
        let answer = match account.client.send(&call).await {
            Err(error) if error.reached == Reached::Answered(404) => return Ok(None),
            Err(error) => {
                if let Some(wait) = error.retry_after {
                    self.rest.hold(wait);
                }
                return Err(error);
            }
            Ok(answer) => answer,
        };
        let status = Reached::Answered(answer.status);
        let unreadable = |words: String| account.client.error(status, Category::Upstream, format!("an order cannot be read: {words}"));
        let envelope: Value = answer.json().map_err(|error| unreadable(error.to_string()))?;
        match envelope.get("order") {
            Some(order) if order.is_object() => Ok(Some(order.to_string())),
            _ => Err(unreadable("it is no order".into())),
        }
    }
}
