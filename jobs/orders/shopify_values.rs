//! The values of Shopify documents, as strictly as the database needs them and as loosely as shops write them.

use chrono::{DateTime, Datelike, FixedOffset, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

/// The largest amount taken, in whole units of its currency: a tenth of what the columns hold, so that sums fit.
pub const LARGEST_AMOUNT: i64 = 999_999_999;

/// An id of Shopify's: a positive integer, also when written as text. Never a float, which rounds above 2^53.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(pub i64);

/// An amount of money: at most two decimals, not negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount(pub Decimal);

/// A share of one, such as a tax rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(pub Decimal);

/// A time of this century; documents from a clock gone wrong would outdate all others for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub DateTime<Utc>);

/// A count of units, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units(pub i32);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = written(source)?.unwrap_or_default();
        match text.parse() {
            // Rows are found by the id's text, so `007` and `+7` are no way to write 7.
            Ok(id) if id > 0 && text == i64::to_string(&id) => Ok(Self(id)),
            _ => Err(de::Error::custom("expected an id, a positive integer")),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let amount = written(source)?.and_then(|text| decimal(&text));
        let amount = amount.ok_or_else(|| de::Error::custom("expected an amount of money, such as \"12.50\""))?;
        if amount.is_sign_negative() && !amount.is_zero() {
            return Err(de::Error::custom("the amount is negative"));
        }
        if amount.normalize().scale() > 2 {
            return Err(de::Error::custom("the amount has more than two decimals"));
        }
        if amount > Decimal::from(LARGEST_AMOUNT) {
            return Err(de::Error::custom("the amount is too large"));
        }
        Ok(Self(amount))
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let rate = written(source)?.and_then(|text| decimal(&text).or_else(|| Decimal::from_scientific(&text).ok()));
        match rate {
            Some(rate) if rate >= Decimal::ZERO && rate <= Decimal::TEN => Ok(Self(rate)),
            _ => Err(de::Error::custom("expected a rate, such as 0.2")),
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let time: Option<DateTime<FixedOffset>> = written(source)?.and_then(|text| text.parse().ok());
        match time {
            // The database takes offsets up to 16 hours.
            Some(time) if (2000..2100).contains(&time.year()) && time.offset().local_minus_utc().abs() < 16 * 3600 => {
                Ok(Self(time.to_utc()))
            }
            _ => Err(de::Error::custom("expected a time of this century, such as \"2026-03-29T01:00:00+01:00\"")),
        }
    }
}

impl<'de> Deserialize<'de> for Units {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        match written(source)?.and_then(|text| text.parse().ok()) {
            Some(units) if units >= 0 => Ok(Self(units)),
            _ => Err(de::Error::custom("expected a count of units, from 0")),
        }
    }
}

/// The digits of a number or of text, as the document writes them; `None` for anything else.
fn written<'de, D: Deserializer<'de>>(source: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(source)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// A plain decimal number. The crate takes more than the database does, such as `1_000`.
fn decimal(text: &str) -> Option<Decimal> {
    let plain = text.bytes().all(|letter| letter.is_ascii_digit() || matches!(letter, b'.' | b'-'));
    plain.then(|| Decimal::from_str_exact(text).ok()).flatten()
}

/// A list; what is no list (null, an object) counts as empty.
pub(crate) fn list<'de, D: Deserializer<'de>, T: de::DeserializeOwned>(source: D) -> Result<Vec<T>, D::Error> {
    match Value::deserialize(source)? {
        Value::Array(values) => values.into_iter().map(|value| T::deserialize(value).map_err(de::Error::custom)).collect(),
        _ => Ok(Vec::new()),
    }
}
