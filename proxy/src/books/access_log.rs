//! A line of JSON for every request, on stdout or in a file: for those who collect logs, and beside the audit book, which
//! proves more and is slower to read.
//!
//! Writing has a thread of its own, for a disk or a pipe may make whoever writes wait, and requests must not. What comes
//! faster than it writes is counted as lost.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use access::{Besides, Call, Outcome, Record};
use config::{RecordFile, RecordsTo};
use otel::Reference;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::books::metrics::Metrics;

/// Lines that wait at once: some seconds of a busy sidecar.
const QUEUE: usize = 16_384;

/// Lines written at once.
const BATCH: usize = 512;

/// One in so many failures is logged.
const LOG_EVERY: u64 = 1000;

/// Where lines are handed in. It never waits.
#[derive(Debug, Clone)]
pub(crate) struct AccessLog {
    queue: mpsc::Sender<Entry>,
    metrics: Arc<Metrics>,
}

/// A record, and where it stands in a trace.
type Entry = (Record, Option<Reference>);

/// The thread that writes: tells when it has written all.
#[derive(Debug)]
pub(crate) struct Writing(oneshot::Receiver<()>);

impl AccessLog {
    /// Starts writing; an error if the file cannot be opened.
    pub(crate) fn open(to: &RecordsTo, metrics: &Arc<Metrics>) -> io::Result<(Self, Writing)> {
        let out = match to {
            RecordsTo::Stdout => Out::Stdout,
            RecordsTo::File(file) => Out::File(Rotating::open(file.clone())?),
        };
        let (queue, waiting) = mpsc::channel(QUEUE);
        let (done, written) = oneshot::channel();
        let counts = metrics.clone();
        thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            write_all(waiting, out, &counts);
            drop(done);
        })?;
        Ok((Self { queue, metrics: metrics.clone() }, Writing(written)))
    }

    /// Hands a record in.
    pub(crate) fn file(&self, record: &Record, place: Option<Reference>) {
        if self.queue.try_send((record.clone(), place)).is_err() {
            lost(&self.metrics, 1, &"their queue is full");
        }
    }
}

impl Writing {
    /// Waits until all is written that was handed in; every [`AccessLog`] must be gone.
    pub(crate) async fn ended(self) {
        // It says nothing; it is dropped when the thread has ended.
        self.0.await.unwrap_or_default();
    }
}

fn lost(metrics: &Metrics, count: u64, why: &dyn std::fmt::Display) {
    let before = metrics.lines_lost.value();
    metrics.lines_lost.add(count);
    if before == 0 || before / LOG_EVERY != (before + count) / LOG_EVERY {
        tracing::error!(lost = before + count, %why, "lines of the access log are lost");
    }
}

fn write_all(mut waiting: mpsc::Receiver<Entry>, mut out: Out, metrics: &Metrics) {
    let (mut batch, mut text) = (Vec::with_capacity(BATCH), Vec::new());
    while waiting.blocking_recv_many(&mut batch, BATCH) > 0 {
        let count = batch.len() as u64;
        text.clear();
        for entry in batch.drain(..) {
            line(&entry, &mut text);
        }
        match out.write(&text) {
            Ok(()) => metrics.lines_written.add(count),
            Err(error) => lost(metrics, count, &error),
        }
    }
}

/// Where lines go.
enum Out {
    Stdout,
    File(Rotating),
}

impl Out {
    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(text).and_then(|()| stdout.flush())
            }
            Self::File(file) => file.write(text),
        }
    }
}

/// A file that is put aside when it has grown enough, or that somebody else puts aside.
struct Rotating {
    settings: RecordFile,
    file: File,
    inode: u64,
    size: u64,
    /// Whether its last line may be half a one: the disk was full.
    is_torn: bool,
}

impl Rotating {
    fn open(settings: RecordFile) -> io::Result<Self> {
        // Who may read it sees who calls what.
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&settings.path)?;
        let found = file.metadata()?;
        Ok(Self { settings, file, inode: found.ino(), size: found.len(), is_torn: false })
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        if self.is_elsewhere() {
            *self = Self::open(self.settings.clone())?;
        }
        if self.size > 0 && self.size + text.len() as u64 > self.settings.rotate_at_bytes {
            self.put_aside().unwrap_or_else(|error| {
                tracing::warn!(%error, file = %self.settings.path.display(), "the access log cannot be put aside; it grows");
            });
        }
        if self.is_torn {
            self.file.write_all(b"\n")?;
        }
        self.is_torn = true;
        self.file.write_all(text)?;
        self.is_torn = false;
        self.size += text.len() as u64;
        Ok(())
    }

    /// Whether another file is at its path, or none: `logrotate` moved it away.
    fn is_elsewhere(&self) -> bool {
        std::fs::metadata(&self.settings.path).map_or(true, |found| found.ino() != self.inode)
    }

    /// `access.jsonl` → `access.jsonl.1` → `access.jsonl.2` …, the oldest over the edge.
    fn put_aside(&mut self) -> io::Result<()> {
        let RecordFile { path, keep, .. } = &self.settings;
        for number in (1..*keep).rev() {
            match std::fs::rename(numbered(path, number), numbered(path, number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        if *keep == 0 { std::fs::remove_file(path) } else { std::fs::rename(path, numbered(path, 1)) }?;
        *self = Self::open(self.settings.clone())?;
        Ok(())
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// A record as a line. Its names are stable: docs/guides/operations.md.
#[derive(Serialize)]
struct Line<'a> {
    schema: &'static str,
    time: jiff::Timestamp,
    request: String,
    from: Option<std::net::IpAddr>,
    caller: Option<&'a str>,
    /// Of a shared proxy.
    app: Option<&'a str>,
    target: Option<&'a str>,
    role: Option<&'a str>,
    derived: Option<&'a str>,
    grant: Option<&'a str>,
    lease: Option<String>,
    cloud: Option<&'static str>,
    service: Option<&'a str>,
    region: Option<&'a str>,
    action: Option<&'a str>,
    resource: Option<&'a str>,
    /// What it does besides; left out where that is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    also: Option<Besides<'a>>,
    method: Option<&'a str>,
    host: Option<&'a str>,
    /// Of what is no call.
    destination: Option<&'a str>,
    path: Option<&'a str>,
    decision: &'static str,
    status: Option<u16>,
    code: Option<&'static str>,
    reason: Option<&'a str>,
    bytes_up: u64,
    bytes_down: u64,
    duration_ms: f64,
    upstream_ms: Option<f64>,
    trace_id: Option<String>,
    span_id: Option<String>,
}

fn line((record, place): &Entry, text: &mut Vec<u8>) {
    let call = record.call.as_ref();
    let (decision, status, code, reason) = match &record.outcome {
        Outcome::Countersigned { status } => ("countersigned", Some(*status), None, None),
        Outcome::Passed { status } => ("passed", Some(*status), None, None),
        Outcome::Tunnelled => ("tunnelled", None, None, None),
        Outcome::Refused { code, message } => ("refused", None, Some(code.as_str()), Some(message.as_str())),
        Outcome::Broken { message } => ("broken", None, None, Some(message.as_str())),
    };
    let line = Line {
        schema: "countersign.access/v1",
        time: record.at,
        request: record.id.to_string(),
        from: record.from,
        caller: record.caller.as_deref(),
        app: record.app.as_deref(),
        target: record.target.as_ref().map(|target| target.as_str()),
        role: record.role.as_deref(),
        derived: record.derived.as_deref(),
        grant: record.grant.as_ref().map(|grant| grant.as_str()),
        lease: record.lease.map(|lease| lease.to_string()),
        cloud: call.map(|call| call.cloud.as_str()),
        service: call.map(|call| call.service.as_str()),
        region: call.and_then(|call| call.region.as_deref()),
        action: call.and_then(|call| call.action.as_deref()),
        resource: call.and_then(|call| call.resource.as_deref()),
        also: call.and_then(Call::besides),
        method: call.map(|call| call.method.as_str()),
        host: call.map(|call| call.host.as_str()),
        destination: record.destination.as_deref(),
        path: call.map(|call| call.path.as_str()),
        decision,
        status,
        code,
        reason,
        bytes_up: record.bytes_up,
        bytes_down: record.bytes_down,
        duration_ms: millis(record.took),
        upstream_ms: record.upstream.map(millis),
        trace_id: place.map(|place| place.trace.to_string()),
        span_id: place.map(|place| place.span.to_string()),
    };
    serde_json::to_writer(&mut *text, &line).expect("texts and numbers are always JSON");
    text.push(b'\n');
}

fn millis(took: jiff::SignedDuration) -> f64 {
    took.as_micros() as f64 / 1000.0
}

#[cfg(test)]
#[path = "access_log_tests.rs"]
mod tests;
