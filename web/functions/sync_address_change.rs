//! `POST /functions/v1/sync-address-change`: has a customer's new address told to Shopify and Seal, where it is not yet.
//!
//! token -> changes that are not told, each with its jobs, in one commit -> where each stands with either
//!
//! A change of `customers` is written down and told by itself, whoever makes it; this is for what has failed. The body is a
//! database webhook's, as the registry's caller sends it, or names the change or the customer:
//!
//! ```text
//! {"type": "UPDATE", "table": "customers", "record": {"id": "…"}, "old_record": {…}}
//! {"address_change_id": "…"}
//! {"customer_id": "…"}
//! ```

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::AppState;
use crate::api::problem::Problem;
use crate::webhooks::body;

/// Where the registry has it.
pub const PATH: &str = "/functions/v1/sync-address-change";

/// The body, of one of three forms.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wish {
    address_change_id: Option<Uuid>,
    customer_id: Option<Uuid>,
    table: Option<String>,
    record: Option<Record>,
}

#[derive(Debug, Deserialize)]
struct Record {
    id: Uuid,
}

/// A change, and where it stands.
#[derive(sqlx::FromRow)]
struct Change {
    id: Uuid,
    customer_id: Uuid,
    shopify: String,
    seal: String,
}

/// Has the changes of the body told.
pub(crate) async fn call(State(state): State<AppState>, headers: HeaderMap, body: Body) -> Result<Json<Value>, Problem> {
    let body = body::read(&headers, body).await?;
    let wish: Wish = serde_json::from_slice(&body).map_err(|error| Problem::invalid(format!("the body names no change: {error}")))?;
    let (change, customer) = wish.named().ok_or_else(|| {
        Problem::invalid("the body names neither address_change_id nor customer_id, nor a record of customers or address_changes")
    })?;
    let found: Vec<Change> =
        sqlx::query_as(include_str!("../sql/address_changes/sync.sql")).bind(change).bind(customer).fetch_all(&state.pool).await?;
    if change.is_some() && found.is_empty() {
        return Err(Problem::new(StatusCode::NOT_FOUND, "there is no such change of address"));
    }
    let changes: Vec<Value> = found
        .iter()
        .map(|change| json!({ "id": change.id, "customer_id": change.customer_id, "shopify": change.shopify, "seal": change.seal }))
        .collect();
    Ok(Json(json!({ "changes": changes })))
}

impl Wish {
    /// The change or the customer.
    fn named(&self) -> Option<(Option<Uuid>, Option<Uuid>)> {
        let record = |table: &str| self.record.as_ref().filter(|_| self.table.as_deref() == Some(table)).map(|record| record.id);
        let change = self.address_change_id.or_else(|| record("address_changes"));
        let customer = self.customer_id.or_else(|| record("customers")).filter(|_| change.is_none());
        (change.is_some() || customer.is_some()).then_some((change, customer))
    }
}
