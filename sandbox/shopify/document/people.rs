//! The buyer's part of the document.

use serde_json::{Map, Value, json};

use crate::shopify::clock::in_london;
use crate::shopify::order::Order;
use crate::shopify::people::{Address, Person};
use crate::shopify::story::Version;

/// Customer, addresses and how to reach them. Shopify leaves some of it out
/// and writes null for some: a guest has no `customer`, a collected order no
/// `shipping_address`.
pub fn parties(order: &Order, version: &Version) -> Value {
    let person = &order.buyer.person;
    let home = address(person, &person.address);
    let delivered_to = version.moved_to.as_ref().map_or_else(|| home.clone(), |moved_to| address(person, moved_to));
    let mut parties = Map::new();
    let email = &order.buyer.email;
    let contact = (!email.is_empty()).then_some(email);
    parties.insert("email".into(), email.as_str().into());
    parties.insert("contact_email".into(), json!(contact));
    parties.insert("phone".into(), Value::Null);
    parties.insert("buyer_accepts_marketing".into(), order.number.is_multiple_of(3).into());
    if !order.is_collected {
        parties.insert("shipping_address".into(), delivered_to);
    } else if order.number.is_multiple_of(2) {
        parties.insert("shipping_address".into(), Value::Null);
    }
    match order.buyer.customer_id {
        Some(id) => _ = parties.insert("customer".into(), customer(order, id, &home)),
        None if order.number.is_multiple_of(2) => _ = parties.insert("customer".into(), Value::Null),
        None => {}
    }
    parties.insert("billing_address".into(), home);
    Value::Object(parties)
}

fn customer(order: &Order, id: i64, home: &Value) -> Value {
    let person = &order.buyer.person;
    let created_at = in_london(order.created_at - chrono::Duration::days(id % 900)).to_rfc3339();
    let mut default_address = home.clone();
    default_address["id"] = (id + 500_000_000).into();
    default_address["customer_id"] = id.into();
    default_address["default"] = true.into();
    json!({
        "id": id,
        "admin_graphql_api_id": format!("gid://shopify/Customer/{id}"),
        "email": person.email,
        "first_name": person.first,
        "last_name": person.last,
        "phone": person.phone,
        "created_at": created_at,
        "updated_at": in_london(order.created_at).to_rfc3339(),
        "state": "enabled",
        "verified_email": true,
        "tax_exempt": false,
        "tax_exemptions": [],
        "currency": "GBP",
        "tags": "",
        "note": null,
        "email_marketing_consent": {
            "state": "subscribed", "opt_in_level": "single_opt_in", "consent_updated_at": created_at,
        },
        "sms_marketing_consent": null,
        "default_address": default_address,
    })
}

fn address(person: &Person, place: &Address) -> Value {
    json!({
        "first_name": person.first,
        "last_name": person.last,
        "name": format!("{} {}", person.first, person.last),
        "company": null,
        "address1": place.line1,
        "address2": place.line2,
        "city": place.city,
        "province": place.province,
        "province_code": place.province_code,
        "country": "United Kingdom",
        "country_code": "GB",
        "zip": place.zip,
        "phone": person.phone,
        "latitude": null,
        "longitude": null,
    })
}
