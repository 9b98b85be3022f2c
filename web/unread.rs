//! Bodies that nobody read.
//!
//! A handler may answer before it has read the body: the token is wrong, the path unknown. What is left unread would make
//! the connection end after the answer without a word, and a client that keeps connections would send its next request
//! into the void. So a short rest is read after all, and where more is left the answer says that the connection ends.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt;
use hyper::body::{Frame, SizeHint};
use tokio::sync::oneshot;

use crate::webhooks::body::LIMIT_BYTES;

/// The longest rest that is read: nobody is to miss his answer for a body that elsewhere would be taken.
const REST_BYTES: usize = 2 * LIMIT_BYTES;

/// How long it may take to come.
const REST_TIME: Duration = Duration::from_secs(1);

/// Answers a request and sees to the rest of its body. A client that waits to be asked for its body is not asked.
pub(crate) async fn finish(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let waits = request.headers().contains_key(header::EXPECT);
    let (back, rest) = oneshot::channel();
    let mut response = next.run(request.map(|body| Body::new(Lent { body, back: Some(back) }))).await;
    if let Ok(body) = rest.await
        && (waits || !is_read(body).await)
    {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Whether the rest was short.
async fn is_read(body: Body) -> bool {
    let mut chunks = body.into_data_stream();
    let read = async {
        let mut bytes = 0;
        while let Some(chunk) = chunks.next().await {
            bytes += chunk.map_or(REST_BYTES, |chunk| chunk.len());
            if bytes > REST_BYTES {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(REST_TIME, read).await.unwrap_or(false)
}

/// A body that comes back if it is dropped before its end.
struct Lent {
    body: Body,
    back: Option<oneshot::Sender<Body>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        // After its end or an error there is nothing to read.
        if let Poll::Ready(None | Some(Err(_))) = frame {
            self.back = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(back) = self.back.take()
            && !self.body.is_end_stream()
        {
            // Whoever lent it may have gone with the connection.
            _ = back.send(std::mem::take(&mut self.body));
        }
    }
}
