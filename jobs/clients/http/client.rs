//! Makes calls of one outside system.

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, SystemTime},
};

use engine::{
    Category,
    trace::{Fact, Role, Span, TraceParent},
};
use reqwest::{
    RequestBuilder, Response, StatusCode,
    header::{CONTENT_TYPE, LOCATION},
    redirect::Policy,
};
use url::Url;

use super::{
    call::{Answer, Call, Credentials, Method},
    error::{CallError, Reached},
    guard::Guard,
    redact::Redactor,
    retry_after::retry_after,
    target::Target,
};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection is kept for the next call. The shorter, the rarer a call meets one that the other side closes.
const IDLE: Duration = Duration::from_secs(15);
/// How many redirects one call follows.
const REDIRECTS: usize = 3;
/// How much of a refusal is read for its words, in bytes.
const REFUSAL_LIMIT: usize = 16 * 1024;
/// Who is calling.
const USER_AGENT: &str = concat!("rawops/", env!("CARGO_PKG_VERSION"));

/// Calls one outside system; a clone shares its connections.
#[derive(Clone)]
pub struct Client {
    target: Target,
    http: reqwest::Client,
    redactor: Redactor,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The client cannot be built.
    #[error("the HTTP client cannot be built: {0}")]
    Http(#[from] reqwest::Error),
}

impl Client {
    /// A client of this target. `secrets` are kept out of every error.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn new(target: Target, secrets: impl IntoIterator<Item = String>) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls()?)
            .dns_resolver(Arc::new(Guard { private_host: target.private_host() }))
            .user_agent(USER_AGENT)
            .no_proxy()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE)
            .build()?;
        Ok(Self { target, http, redactor: Redactor::new(secrets) })
    }

    /// The name of the system, in messages.
    pub const fn system(&self) -> &'static str {
        self.target.system()
    }

    /// Makes the call once and reads the answer of success to its end.
    ///
    /// # Errors
    /// [`CallError`] says how far it got.
    pub async fn send(&self, call: &Call) -> Result<Answer, CallError> {
        let span = Span::begin(Role::Client, format_args!("{} {}", call.method.as_str(), self.system()), call.trace_parent.clone());
        span.note("http.request.method", Fact::Text(call.method.as_str()));
        span.note("peer.service", Fact::Text(self.system()));
        let sent = span.around(self.send_in(&span, call)).await;
        match &sent {
            Ok(answer) => span.note("http.response.status_code", Fact::Number(answer.status.into())),
            Err(error) => span.failed(error),
        }
        sent
    }

    async fn send_in(&self, span: &Span, call: &Call) -> Result<Answer, CallError> {
        let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
        let mut url = self.target.url(&segments);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        for _ in 0..=REDIRECTS {
            if self.target.reaches_private(&url) {
                return Err(self.error(Reached::Nothing, Category::Network, "its address lies in a private network"));
            }
            let response = self.request(call, span.place(), url.clone()).send().await.map_err(|error| self.of_transport(error))?;
            match self.redirected(&url, &response)? {
                Some(next) => url = next,
                None => return self.read(call, response).await,
            }
        }
        Err(self.error(Reached::Answered(302), Category::Upstream, format!("redirected more than {REDIRECTS} times")))
    }

    /// An error of this system.
    pub fn error(&self, reached: Reached, category: Category, message: impl Into<String>) -> CallError {
        CallError::new(self.system(), reached, category, message)
    }

    /// A foreign text that is fit for a log.
    pub fn clean(&self, text: &str) -> String {
        self.redactor.clean(text)
    }

    fn request(&self, call: &Call, trace: Option<TraceParent>, url: Url) -> RequestBuilder {
        let method = match call.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut request = self.http.request(method, url).timeout(call.timeout);
        if !call.body.is_empty() {
            request = request.header(CONTENT_TYPE, call.content_type).body(call.body.clone());
        }
        if let Some(key) = &call.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        if let Some(attempt) = &call.on_behalf_of {
            request = request.header("x-request-id", attempt);
        }
        if let Some(trace) = trace {
            request = request.header("traceparent", trace.to_string());
            if let Some(state) = trace.state() {
                request = request.header("tracestate", state);
            }
        }
        match &call.credentials {
            Credentials::None => request,
            Credentials::Basic(user, password) => request.basic_auth(user, Some(password)),
            Credentials::Bearer(token) => request.bearer_auth(token),
            Credentials::Header(name, key) => request.header(*name, key),
        }
    }

    /// Where a redirect leads: the same call is made there, with its credentials. Nobody but the system's own hosts gets
    /// either, because the body may hold personal data.
    fn redirected(&self, from: &Url, response: &Response) -> Result<Option<Url>, CallError> {
        let status = response.status();
        let follows = [StatusCode::MOVED_PERMANENTLY, StatusCode::FOUND, StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT];
        if !follows.contains(&status) {
            return Ok(None);
        }
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let next = location.and_then(|location| from.join(location).ok());
        match next {
            Some(next) if self.target.allows(&next) => Ok(Some(next)),
            Some(next) => {
                let host = next.host_str().unwrap_or("nowhere").to_owned();
                let message = format!("redirected to {host}, which is not among its hosts: check the address and the region");
                Err(self.error(Reached::Answered(status.as_u16()), Category::Validation, message))
            }
            None => Err(self.error(Reached::Answered(status.as_u16()), Category::Upstream, "redirected to no address")),
        }
    }

    async fn read(&self, call: &Call, mut response: Response) -> Result<Answer, CallError> {
        let (status, headers) = (response.status(), response.headers().clone());
        if !status.is_success() {
            let wait = retry_after(&headers, SystemTime::now());
            // The status has said it; without the words too.
            let words = collect(&mut response, REFUSAL_LIMIT).await.unwrap_or_default();
            let words = self.clean(&String::from_utf8_lossy(&words));
            return Err(CallError::of_status(self.system(), status.as_u16(), &words, wait));
        }
        match collect(&mut response, call.answer_limit).await {
            Ok(body) if body.len() > call.answer_limit => {
                let message = format!("answered {status} with more than {} bytes", call.answer_limit);
                Err(self.error(Reached::Unknown, Category::Upstream, message))
            }
            Ok(body) => Ok(Answer { status: status.as_u16(), headers, body }),
            Err(error) => Err(CallError { reached: Reached::Unknown, ..self.of_transport(error) }),
        }
    }

    fn of_transport(&self, error: reqwest::Error) -> CallError {
        let reached = if error.is_connect() || error.is_builder() { Reached::Nothing } else { Reached::Unknown };
        let category = match () {
            () if error.is_builder() => Category::Validation,
            () if error.is_timeout() => Category::Timeout,
            () => Category::Network,
        };
        // The address may hold a key, and names people.
        let error = error.without_url();
        let mut words = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            words = format!("{words}: {inner}");
            cause = inner.source();
        }
        self.error(reached, category, self.clean(&words))
    }
}

/// Reads a body, and of one beyond the limit one chunk too many.
async fn collect(response: &mut Response, limit: usize) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > limit {
            break;
        }
    }
    Ok(body)
}

/// The web's certificates, compiled in: a container without any reaches the same systems.
fn tls() -> Result<rustls::ClientConfig, rustls::Error> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
