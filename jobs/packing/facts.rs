//! What the database says of a parcel and of the rules.

use engine::{Failure, JobResult, Run, Tx};
use uuid::Uuid;

use super::{
    destination::{Area, HighRisk, Places},
    postcode::Postcode,
    rules::Rules,
};

/// The longest name of a version, which `packing_instructions.calculation_version` has room for, in bytes.
const VERSION_LENGTH: usize = 10;

/// What is to be packed.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Parcel {
    /// As the customer wrote it.
    pub postcode: Option<String>,
    /// As the shop says it.
    pub country: Option<String>,
    /// The food that is allocated and has not left, in grams.
    pub food_grams: i64,
}

/// What an order is packed by.
pub(super) struct Facts {
    pub parcel: Parcel,
    pub rules: Rules,
    pub version: String,
    /// None where the address has no British one.
    pub postcode: Option<Postcode>,
    pub places: Places,
}

impl Facts {
    /// The facts of an order; none when nothing of it is to be packed.
    ///
    /// # Errors
    /// `validation` when the rules cannot be read.
    pub async fn of(run: &Run, order_id: Uuid) -> JobResult<Option<Self>> {
        let mut tx = run.begin().await?;
        let parcel: Option<Parcel> = sqlx::query_as("select postcode, country, food_grams from raw_ops.parcel_to_pack($1)")
            .bind(order_id)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(parcel) = parcel else { return Ok(None) };
        let (version, rules) = read_rules(&mut tx).await?;
        let postcode = parcel.postcode.as_deref().and_then(Postcode::parse);
        let prefixes = postcode.as_ref().map(Postcode::prefixes).unwrap_or_default();
        let places = places(&mut tx, &prefixes).await?;
        tx.commit().await?;
        Ok(Some(Self { parcel, rules, version, postcode, places }))
    }
}

/// The rules that hold, and their version.
///
/// # Errors
/// `validation` when they cannot be read.
pub(super) async fn read_rules(tx: &mut Tx) -> JobResult<(String, Rules)> {
    let row: Option<(Option<String>, Option<String>)> =
        sqlx::query_as("select version, document from raw_ops.packing_rules()").fetch_optional(&mut **tx).await?;
    let Some((Some(version), Some(document))) = row else {
        return Err(Failure::validation("the row packing.rules of raw_ops.config names no version that is there"));
    };
    if version.len() > VERSION_LENGTH {
        return Err(Failure::validation(format!("the version {version} of the rules of packing has more than {VERSION_LENGTH} bytes")));
    }
    let wrong = |error| Failure::validation(format!("the row packing.rules.{version} of raw_ops.config cannot be used: {error}"));
    let rules = Rules::parse(&document).map_err(wrong)?;
    Ok((version, rules))
}

/// The rows of the tables of places that have one of these prefixes.
async fn places(tx: &mut Tx, prefixes: &[String]) -> JobResult<Places> {
    let restricted =
        sqlx::query_scalar("select exists (select from raw_ops.allowed_delivery_areas where is_active)").fetch_one(&mut **tx).await?;
    let areas: Vec<Area> = sqlx::query_as(
        "select postcode_prefix, enabled_from_date, typical_transit_hours from raw_ops.allowed_delivery_areas
         where is_active and postcode_prefix = any ($1) order by enabled_from_date nulls first, id",
    )
    .bind(prefixes)
    .fetch_all(&mut **tx)
    .await?;
    let high_risks: Vec<HighRisk> = sqlx::query_as(
        "select postcode_prefix, region_name, typical_transit_hours, delivery_policy from raw_ops.high_risk_postcodes
         where is_active and postcode_prefix = any ($1)",
    )
    .bind(prefixes)
    .fetch_all(&mut **tx)
    .await?;
    Ok(Places { restricted, areas, high_risks })
}
