//! Spans go out by OTLP over HTTP, where `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector.
//!
//! attempt or request ends -> bounded queue -> a thread of its own -> collector
//!
//! A collector that is away or does not answer stops nobody: what does not fit into the queue is left out, and counted in the
//! log at the end.

/// Runs a process whose spans would be told.
#[cfg(not(feature = "otlp"))]
pub async fn told<T>(process: impl Future<Output = T>) -> T {
    process.await
}

#[cfg(feature = "otlp")]
pub use export::told;

#[cfg(feature = "otlp")]
mod export {
    use std::{process::ExitCode, time::Duration};

    use anyhow::Context;
    use opentelemetry::KeyValue;
    use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
    use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
    use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};

    /// How long the last spans may take to be told.
    const LAST_WORDS: Duration = Duration::from_secs(3);
    /// The most of an answer that is read.
    const ANSWER_LIMIT: usize = 64 * 1024;

    /// Runs a process whose spans are told, if anybody is to be told; what is left of them goes out at its end.
    pub async fn told(process: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
        let Some(provider) = provider()? else { return process.await };
        engine::trace::export_to(&provider);
        let ended = process.await;
        let flushing = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(LAST_WORDS));
        match flushing.await {
            Ok(Ok(())) => (),
            Ok(Err(error)) => tracing::warn!(%error, "the last spans were not told"),
            Err(error) => tracing::warn!(%error, "the last spans were not told"),
        }
        ended
    }

    /// What tells spans, as the standard variables of OpenTelemetry describe it; `None` without a collector.
    fn provider() -> anyhow::Result<Option<SdkTracerProvider>> {
        let endpoint = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"].into_iter().find_map(set);
        let disabled = set("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        if endpoint.is_none() || disabled || set("OTEL_TRACES_EXPORTER").as_deref() == Some("none") {
            return Ok(None);
        }
        let protocol = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"].into_iter().find_map(set);
        if let Some(other) = protocol.filter(|protocol| protocol != "http/protobuf") {
            anyhow::bail!("OTEL_EXPORTER_OTLP_PROTOCOL is {other:?}; spans are told by http/protobuf only");
        }
        let exporter = SpanExporter::builder().with_http().with_http_client(Outbound::new()?).build();
        let exporter = exporter.context("spans cannot be told to OTEL_EXPORTER_OTLP_ENDPOINT")?;
        let provider = SdkTracerProvider::builder()
            .with_id_generator(engine::trace::Ids::default())
            .with_resource(resource())
            .with_batch_exporter(exporter)
            .build();
        Ok(Some(provider))
    }

    /// Who tells: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, and `rawops` where they do not say.
    fn resource() -> Resource {
        let said = Resource::builder().build();
        let named = said.iter().any(|(key, value)| key.as_str() == "service.name" && !value.as_str().starts_with("unknown_service"));
        let own = [KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))];
        let builder = Resource::builder().with_attributes(own.into_iter().filter(|own| said.get_ref(&own.key).is_none()));
        if named { builder.build() } else { builder.with_service_name("rawops").build() }
    }

    /// An empty value counts as unset.
    fn set(name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    /// Makes the exporter's requests on the process's runtime: its thread has none.
    #[derive(Debug)]
    struct Outbound {
        http: reqwest::Client,
        runtime: tokio::runtime::Handle,
    }

    impl Outbound {
        fn new() -> anyhow::Result<Self> {
            let timeout = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"].into_iter().find_map(set);
            let timeout =
                timeout.map_or(Ok(10_000), |text| text.parse().context("OTEL_EXPORTER_OTLP_TIMEOUT is no number of milliseconds"))?;
            let http = reqwest::Client::builder().timeout(Duration::from_millis(timeout)).build()?;
            Ok(Self { http, runtime: tokio::runtime::Handle::current() })
        }
    }

    #[async_trait::async_trait]
    impl HttpClient for Outbound {
        async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
            let (http, request) = (self.http.clone(), request.try_into()?);
            self.runtime.spawn(async move { read(http.execute(request).await?).await }).await?
        }
    }

    async fn read(mut answer: reqwest::Response) -> Result<Response<Bytes>, HttpError> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_LIMIT {
                return Err("the collector's answer is too long".into());
            }
        }
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            headers.clone_from(answer.headers());
        }
        Ok(response.body(body.into())?)
    }
}
