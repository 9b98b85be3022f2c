//! The raw body of a webhook, bounded in size and time.
//!
//! The bytes are kept exactly as they came, because the signature covers
//! them; whatever would need decoding first is refused.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::StreamExt;
use tokio::time::timeout;

/// The most bytes a webhook may have: 1 MiB.
pub const LIMIT_BYTES: usize = 1 << 20;

/// A type of content.
pub const JSON: &str = "application/json";
/// A type of content.
pub const CSV: &str = "text/csv";

/// How long a client may take to send its body.
pub const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a body was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// More than [`LIMIT_BYTES`], as declared or as counted.
    #[error("the body is larger than {LIMIT_BYTES} bytes")]
    TooLarge,
    /// A `Content-Encoding` other than identity.
    #[error("the body is encoded")]
    Encoded,
    /// A `Content-Type` other than the one that is wanted, or none.
    #[error("the body is not declared as what is wanted")]
    OtherType,
    /// Not complete within [`READ_TIMEOUT`].
    #[error("the body did not arrive in time")]
    Slow,
    /// The connection ended or its framing was wrong.
    #[error("the body broke off")]
    Broken,
}

impl Refusal {
    /// The status that answers it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Encoded | Self::OtherType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads the whole body of a request that is JSON.
///
/// # Errors
/// A [`Refusal`]; the headers are judged before a byte is read.
pub async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    read_of(&[JSON], headers, body).await
}

/// Reads the whole body of a request that is declared as one of these types.
///
/// # Errors
/// A [`Refusal`]; the headers are judged before a byte is read.
pub async fn read_of(types: &[&str], headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    read_within(READ_TIMEOUT, types, headers, body).await
}

async fn read_within(limit: Duration, types: &[&str], headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    let declared = declared_len(headers)?;
    require_identity(headers)?;
    require_type(types, headers)?;
    timeout(limit, collect(body, declared)).await.map_err(|_| Refusal::Slow)?
}

fn declared_len(headers: &HeaderMap) -> Result<usize, Refusal> {
    let Some(value) = headers.get(header::CONTENT_LENGTH) else {
        return Ok(0);
    };
    let digits = value.to_str().map_err(|_| Refusal::Broken)?;
    match digits.parse::<usize>() {
        Ok(len) if len <= LIMIT_BYTES => Ok(len),
        Ok(_) => Err(Refusal::TooLarge),
        Err(_) => Err(Refusal::Broken),
    }
}

fn require_identity(headers: &HeaderMap) -> Result<(), Refusal> {
    let identity = headers.get_all(header::CONTENT_ENCODING).iter().all(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"));
    identity.then_some(()).ok_or(Refusal::Encoded)
}

fn require_type(types: &[&str], headers: &HeaderMap) -> Result<(), Refusal> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Refusal::OtherType);
    };
    let kind = value.to_str().map_err(|_| Refusal::OtherType)?;
    let essence = kind.split(';').next().unwrap_or_default().trim();
    types.iter().any(|wanted| essence.eq_ignore_ascii_case(wanted)).then_some(()).ok_or(Refusal::OtherType)
}

async fn collect(body: Body, declared: usize) -> Result<Bytes, Refusal> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::with_capacity(declared);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::Broken)?;
        if bytes.len() + chunk.len() > LIMIT_BYTES {
            return Err(Refusal::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[tokio::test]
    async fn a_body_that_does_not_arrive_is_cut() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let never = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
        let read = read_within(Duration::from_millis(10), &[JSON], &headers, Body::from_stream(never));
        assert_eq!(read.await, Err(Refusal::Slow));
    }
}
