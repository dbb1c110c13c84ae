//! A collector of OpenTelemetry: reads OTLP by the types that the OpenTelemetry project generates, and answers what a test
//! tells it to.

use std::collections::VecDeque;
use std::io::{Error, Result};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use rustls::ServerConfig;
use tokio::io::AsyncWriteExt as _;

use super::faults::Faults;
use super::served::{Answer, Served, Wire, serve};
use super::wire::{Body, Head, read_head};

/// What is told reaches a collector within a second or two.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a collector answers once.
#[derive(Debug, Clone)]
pub(crate) enum Mood {
    /// With this status, and perhaps `Retry-After`.
    Says(u16, Option<&'static str>),
    /// It takes all spans but so many.
    Rejects(i64),
    /// Never.
    Silent,
}

/// The collector.
#[derive(Debug)]
pub(crate) struct Collector {
    served: Served,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    moods: VecDeque<Mood>,
    heads: Vec<Head>,
    bytes: Vec<u8>,
    spans: Vec<Span>,
    records: Vec<LogRecord>,
    resources: Vec<KeyValue>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        Self::over(None).await
    }

    pub(crate) async fn over(tls: Option<Arc<ServerConfig>>) -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let told = state.clone();
        let served = serve(tls, move |wire, _| hear(wire, told.clone())).await;
        Self { served, state }
    }

    /// Its port on loopback.
    pub(crate) fn port(&self) -> u16 {
        self.served.address.port()
    }

    /// What `telemetry` says to tell it everything; `more` stands beside its endpoint.
    pub(crate) fn yaml(&self, more: &str) -> String {
        format!("{{ otlp: {{ endpoint: \"http://127.0.0.1:{}\", {more} }} }}", self.port())
    }

    /// How the next requests are answered, one after the other.
    pub(crate) fn moods(&self, moods: impl IntoIterator<Item = Mood>) {
        self.state().moods.extend(moods);
    }

    /// Heads of all requests, also of those that were not taken.
    pub(crate) fn heads(&self) -> Vec<Head> {
        self.state().heads.clone()
    }

    /// Every byte that it was sent.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    /// What is said of whoever tells it.
    pub(crate) fn resource(&self, key: &str) -> Option<String> {
        text(&self.state().resources, key)
    }

    /// Spans that it has taken by now.
    pub(crate) fn spans_by_now(&self) -> Vec<Span> {
        self.state().spans.clone()
    }

    /// Records that it has taken by now.
    pub(crate) fn records_by_now(&self) -> Vec<LogRecord> {
        self.state().records.clone()
    }

    /// Spans that it has taken, as soon as there are `count`.
    pub(crate) async fn spans(&self, count: usize) -> Vec<Span> {
        self.until(count, |state| state.spans.len()).await;
        self.spans_by_now()
    }

    /// Records that it has taken, as soon as there are `count`.
    pub(crate) async fn records(&self, count: usize) -> Vec<LogRecord> {
        self.until(count, |state| state.records.len()).await;
        self.records_by_now()
    }

    /// The requests that it was asked, as soon as there are `count`.
    pub(crate) async fn asked(&self, count: usize) -> Vec<Head> {
        self.until(count, |state| state.heads.len()).await;
        self.heads()
    }

    async fn until(&self, count: usize, of: impl Fn(&State) -> usize) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while of(&self.state()) < count {
            assert!(tokio::time::Instant::now() < deadline, "not {count} of {:#?}", self.state());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics with it in hand")
    }
}

async fn hear(mut wire: Wire, state: Arc<Mutex<State>>) -> Result<()> {
    let state = || state.lock().expect("no test panics with it in hand");
    while let Some(head) = read_head(&mut wire).await? {
        let body = Body::of_request(&head)?.rest(&mut wire).await?;
        let mood = {
            let mut state = state();
            state.heads.push(head.clone());
            state.bytes.extend_from_slice(format!("{head:?}").as_bytes());
            state.bytes.extend_from_slice(&body);
            state.moods.pop_front()
        };
        let answer = match mood {
            Some(Mood::Silent) => std::future::pending().await,
            Some(Mood::Says(status, after)) => {
                let answer = Answer::new(status, "text/plain", "no");
                after.into_iter().fold(answer, |answer, after| answer.header("Retry-After", after))
            }
            None => Answer::new(200, "application/x-protobuf", take(&mut state(), (&head, &body), 0)?),
            Some(Mood::Rejects(count)) => {
                Answer::new(200, "application/x-protobuf", take(&mut state(), (&head, &body), count)?)
            }
        };
        answer.send(&mut wire, "POST", (&Faults::default(), None)).await?;
    }
    wire.shutdown().await
}

fn take(state: &mut State, (head, body): (&Head, &[u8]), rejected_spans: i64) -> Result<Vec<u8>> {
    assert_eq!(head.get("content-type"), Some("application/x-protobuf"));
    match head.word(1).rsplit_once("/v1/").map(|(_, signal)| signal) {
        Some("traces") => {
            let request = ExportTraceServiceRequest::decode(body).map_err(Error::other)?;
            for of_resource in request.resource_spans {
                state.resources = of_resource.resource.unwrap_or_default().attributes;
                state.spans.extend(of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
            }
        }
        Some("logs") => {
            let request = ExportLogsServiceRequest::decode(body).map_err(Error::other)?;
            for of_resource in request.resource_logs {
                state.resources = of_resource.resource.unwrap_or_default().attributes;
                state.records.extend(of_resource.scope_logs.into_iter().flat_map(|scope| scope.log_records));
            }
            return Ok(Vec::new());
        }
        _ => return Err(Error::other(format!("there is no {}", head.start))),
    }
    let rejected = ExportTracePartialSuccess { rejected_spans, error_message: "no\nroom".to_owned() };
    let partial_success = (rejected_spans > 0).then_some(rejected);
    Ok(ExportTraceServiceResponse { partial_success }.encode_to_vec())
}

/// An attribute, as text.
pub(crate) fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let mut found = attributes.iter().filter(|attribute| attribute.key == key);
    let value = found.next()?.value.as_ref()?.value.as_ref()?;
    assert!(found.next().is_none(), "{key} stands twice in {attributes:#?}");
    match value {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        Value::DoubleValue(number) => Some(number.to_string()),
        other => panic!("{key} is {other:?}"),
    }
}
