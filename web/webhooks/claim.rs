//! What headers claim: nobody signed them, so they file a row and never decide over money.

use axum::http::HeaderMap;

/// Longest value of an identifying header that is believed.
const LIMIT_BYTES: usize = 255;

/// The value of a header that is there once: two of them leave open which one an intermediary has checked.
pub fn the_one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    value.to_str().ok()
}

/// What an identifying header says, if it can be believed to be one.
pub fn short(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?.trim();
    let fits = !value.is_empty() && value.len() <= LIMIT_BYTES;
    fits.then(|| value.to_owned())
}
