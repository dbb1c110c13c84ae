//! What ended, on its way to the collector: a bounded queue, batches, and an end.

use std::sync::Arc;
use std::time::Duration;

use access::{Clock, Record, Secret};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use prost::Message as _;
use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;
use uuid::Builder;

use crate::attributes::{Attributes, SCHEMA};
use crate::collector::{Collector, CollectorError, Parcel};
use crate::log::log_record;
use crate::message::{LogsRequest, Resource, ResourceLogs, ResourceSpans, Scope, ScopeLogs, ScopeSpans, TraceRequest};
use crate::span::spans;
use crate::tally::{Loss, Signal, Tally};
use crate::trace::Trace;

/// Requests that wait at once; one has about a kilobyte.
const QUEUE: usize = 8192;

/// Places in the queue that only requests of callers with a lease may take. Anybody who reaches the port can cause refusals
/// by the hundred thousand; they must not push out what callers did.
const KEPT_FOR_CALLERS: usize = QUEUE / 2;

/// Requests in one message: what OpenTelemetry's SDKs take, too.
const BATCH: usize = 512;

/// How long the first request of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);

/// What the last ones have when everything else has ended.
const LAST: Duration = Duration::from_secs(2);

/// One in so many that were lost is logged.
const LOG_EVERY: u64 = 1000;

/// Where the machine's name stands: in a pod, the pod's.
const HOSTNAME: &str = "/proc/sys/kernel/hostname";

/// Where to, and what.
#[derive(Debug)]
pub struct Settings {
    /// What `v1/traces` and `v1/logs` are below of.
    pub endpoint: Url,
    /// Sent along with every message.
    pub headers: Vec<(String, Secret<String>)>,
    /// How the collector proves who it is.
    pub tls: ClientConfig,
    /// Whether access records are told.
    pub records: bool,
    /// Said of everything that is told, besides what we know ourselves.
    pub resource: Vec<(String, String)>,
}

/// Where requests that have ended are handed in. It never waits.
#[derive(Debug, Clone)]
pub struct Exporter {
    queue: mpsc::Sender<Told>,
    records: bool,
    tally: Arc<Tally>,
}

/// A request that has ended.
#[derive(Debug)]
struct Told {
    record: Record,
    trace: Option<Box<Trace>>,
}

/// The export at work.
#[derive(Debug)]
pub struct Exporting {
    task: JoinHandle<()>,
    tally: Arc<Tally>,
}

impl Exporter {
    /// Begins to export. It ends when every [`Exporter`] is gone.
    pub fn start(settings: &Settings, clock: Clock, tally: &Arc<Tally>) -> Result<(Self, Exporting), CollectorError> {
        let collector = Collector::new(settings, (clock, tally.clone()))?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        let packing = Packing { resource: resource(settings), records: settings.records };
        let task = tokio::spawn(export(waiting, packing, collector));
        let exporter = Self { queue, records: settings.records, tally: tally.clone() };
        Ok((exporter, Exporting { task, tally: tally.clone() }))
    }

    /// Hands a request in, if there is something to tell of it.
    pub fn file(&self, record: &Record, trace: Option<Box<Trace>>) {
        let spans = trace.as_ref().map_or(0, |trace| trace.spans());
        let counts = [(Signal::Spans, spans), (Signal::Records, u64::from(self.records))];
        if counts.iter().all(|(_, count)| *count == 0) {
            return;
        }
        // Before it is sent: whoever takes it out must not be faster than this.
        counts.iter().for_each(|(signal, count)| self.tally.queued(*signal).add(*count));
        let is_full = record.caller.is_none() && self.queue.capacity() <= KEPT_FOR_CALLERS;
        let Some(place) = self.queue.try_reserve().ok().filter(|_| !is_full) else {
            let before = self.tally.losses();
            for (signal, count) in counts {
                self.tally.queued(signal).take_away(count);
                self.tally.lost(signal, Loss::Queue).add(count);
            }
            if before == 0 || before / LOG_EVERY != self.tally.losses() / LOG_EVERY {
                tracing::error!(lost = self.tally.losses(), "the collector is not told everything: the queue is full");
            }
            return;
        };
        place.send(Told { record: record.clone(), trace });
    }
}

impl Exporting {
    /// Waits until all is told that was handed in, but not for long; every [`Exporter`] must be gone. What is left then is
    /// lost.
    pub async fn ended(mut self) {
        if timeout(LAST, &mut self.task).await.is_ok() {
            return;
        }
        self.task.abort();
        // It ends at its next wait, and says nothing.
        drop(self.task.await);
        let mut left = 0;
        for signal in [Signal::Spans, Signal::Records] {
            let count = self.tally.queued(signal).value();
            self.tally.queued(signal).take_away(count);
            self.tally.lost(signal, Loss::Stopped).add(count);
            left += count;
        }
        tracing::error!(left, "the collector was not told everything before the end");
    }
}

async fn export(mut waiting: mpsc::Receiver<Told>, packing: Packing, collector: Collector) {
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let until = Instant::now() + GATHER;
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            // Nothing comes any more, or nothing in time.
            let Ok(1..) = timeout_at(until, waiting.recv_many(&mut batch, room)).await else { break };
        }
        let (spans, records) = (packing.spans(&batch), packing.records(&batch));
        batch.clear();
        tokio::join!(deliver(&collector, spans), deliver(&collector, records));
    }
}

async fn deliver(collector: &Collector, parcel: Option<Parcel>) {
    if let Some(parcel) = parcel {
        collector.deliver(parcel).await;
    }
}

/// Makes messages.
struct Packing {
    resource: Resource,
    records: bool,
}

impl Packing {
    fn spans(&self, batch: &[Told]) -> Option<Parcel> {
        let traced = batch.iter().filter_map(|told| Some((&told.record, told.trace.as_deref()?)));
        let spans: Vec<_> = traced.flat_map(|(record, trace)| spans(record, trace)).collect();
        let count = spans.len() as u64;
        let request = TraceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource.clone()),
                scope_spans: vec![ScopeSpans { scope: Some(scope()), spans }],
                schema_url: SCHEMA.to_owned(),
            }],
        };
        (count > 0).then(|| Parcel { signal: Signal::Spans, count, body: request.encode_to_vec().into() })
    }

    fn records(&self, batch: &[Told]) -> Option<Parcel> {
        if !self.records {
            return None;
        }
        let log_records: Vec<_> = batch.iter().map(|told| log_record(&told.record, told.trace.as_deref())).collect();
        let count = log_records.len() as u64;
        let request = LogsRequest {
            resource_logs: vec![ResourceLogs {
                resource: Some(self.resource.clone()),
                scope_logs: vec![ScopeLogs { scope: Some(scope()), log_records }],
                schema_url: SCHEMA.to_owned(),
            }],
        };
        Some(Parcel { signal: Signal::Records, count, body: request.encode_to_vec().into() })
    }
}

fn scope() -> Scope {
    Scope { name: "countersign".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
}

/// Who tells. What the operator says of it comes before what we think.
fn resource(settings: &Settings) -> Resource {
    let host = std::fs::read_to_string(HOSTNAME).ok().map(|name| name.trim().to_owned());
    let known = [
        ("service.name", Some("countersign".to_owned())),
        ("service.version", Some(env!("CARGO_PKG_VERSION").to_owned())),
        ("service.instance.id", instance()),
        ("host.name", host),
    ];
    let said = |key: &str| settings.resource.iter().any(|(name, _)| name == key);
    let mut attributes = Attributes::default();
    settings.resource.iter().for_each(|(name, value)| attributes.text(name, value.as_str()));
    for (key, value) in known.into_iter().filter(|(key, _)| !said(key)) {
        attributes.maybe(key, value);
    }
    Resource { attributes: attributes.into_vec() }
}

/// Tells processes apart.
fn instance() -> Option<String> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(Builder::from_random_bytes(bytes).into_uuid().to_string())
}

#[cfg(test)]
mod tests {
    use access::{Outcome, RequestId};
    use http::Request;
    use jiff::{SignedDuration, Timestamp};
    use rustls::RootCertStore;
    use tokio::net::TcpListener;

    use super::*;
    use crate::tracer::{Sampling, Tracer};

    fn record(caller: Option<&str>) -> Record {
        Record {
            caller: caller.map(str::to_owned),
            id: RequestId::new(uuid::Uuid::nil()),
            at: Timestamp::UNIX_EPOCH,
            from: None,
            target: None,
            role: None,
            derived: None,
            grant: None,
            lease: None,
            call: None,
            outcome: Outcome::Passed { status: 200 },
            bytes_up: 0,
            bytes_down: 0,
            took: SignedDuration::ZERO,
            upstream: None,
            times: 1,
            app: None,
            destination: None,
        }
    }

    fn trace() -> Option<Box<Trace>> {
        let head = Request::new(()).into_parts().0;
        Tracer::new(Some(Sampling { per_million: 1_000_000 })).unwrap().begin(&head)
    }

    /// Exports to an address that takes connections and says nothing.
    async fn silent(records: bool) -> (Exporter, Exporting, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        let tls = tls.with_safe_default_protocol_versions().unwrap();
        let settings = Settings {
            endpoint: format!("http://{}", listener.local_addr().unwrap()).parse().unwrap(),
            headers: Vec::new(),
            tls: tls.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
            records,
            resource: vec![("service.name".into(), "sidecar".into())],
        };
        let clock = Clock::new(|| Timestamp::UNIX_EPOCH);
        let (exporter, exporting) = Exporter::start(&settings, clock, &Arc::default()).unwrap();
        (exporter, exporting, listener)
    }

    #[tokio::test]
    async fn what_does_not_fit_into_the_queue_is_lost_and_counted_and_nobody_waits() {
        let (exporter, exporting, _listener) = silent(true).await;
        // Nobody takes them out: this task does not wait, so the other does not run.
        (0..QUEUE + 7).for_each(|_| exporter.file(&record(Some("shop:billing")), trace()));
        let tally = exporter.tally.clone();
        for signal in [Signal::Spans, Signal::Records] {
            assert_eq!((tally.lost(signal, Loss::Queue).value(), tally.queued(signal).value()), (7, QUEUE as u64));
        }
        drop(exporter);
        exporting.ended().await;
        for signal in [Signal::Spans, Signal::Records] {
            let counts = (tally.lost(signal, Loss::Stopped).value(), tally.queued(signal).value());
            assert_eq!(counts, (QUEUE as u64, 0), "what waited at the end is counted, too");
        }
    }

    #[tokio::test]
    async fn flood_of_refusals_does_not_push_out_what_callers_did() {
        let (exporter, _exporting, _listener) = silent(true).await;
        (0..2 * QUEUE).for_each(|_| exporter.file(&record(None), None));
        let refusals_lost = exporter.tally.losses();
        (0..KEPT_FOR_CALLERS).for_each(|_| exporter.file(&record(Some("shop:billing")), None));
        assert_eq!((refusals_lost, exporter.tally.losses()), (3 * QUEUE as u64 / 2, 3 * QUEUE as u64 / 2));
    }

    #[tokio::test]
    async fn what_is_neither_traced_nor_to_be_recorded_is_not_handed_in() {
        let (exporter, _exporting, _listener) = silent(false).await;
        exporter.file(&record(None), None);
        assert_eq!(exporter.queue.capacity(), QUEUE);
        exporter.file(&record(None), trace());
        assert_eq!(exporter.queue.capacity(), QUEUE - 1);
    }
}
