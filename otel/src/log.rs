//! A request as a log record: the access log's line, in OpenTelemetry's words.

use access::{Outcome, Record};

use crate::attributes::{Attributes, decision, failure, status};
use crate::message::{AnyValue, LogRecord, Value};
use crate::span::nanos;
use crate::trace::Trace;

/// What kind of event it is.
const EVENT: &str = "countersign.access";

/// Severities of OpenTelemetry's data model.
const INFO: (i32, &str) = (9, "INFO");
const WARN: (i32, &str) = (13, "WARN");

/// The log record of a request that has ended.
pub(crate) fn log_record(record: &Record, trace: Option<&Trace>) -> LogRecord {
    let (severity_number, severity_text) = match &record.outcome {
        Outcome::Countersigned { .. } | Outcome::Passed { .. } | Outcome::Tunnelled => INFO,
        Outcome::Refused { .. } | Outcome::Broken { .. } => WARN,
    };
    let mut attributes = Attributes::default();
    attributes.decision(record);
    attributes.call(record);
    if let Some(call) = &record.call {
        attributes.text("http.request.method", call.method.as_str());
        attributes.text("server.address", call.host.as_str());
        attributes.text("url.path", call.path.as_str());
    }
    if let Some(status) = status(&record.outcome) {
        attributes.number("http.response.status_code", status.into());
    }
    attributes.maybe("error.type", failure(&record.outcome));
    attributes.number("http.request.body.size", record.bytes_up);
    attributes.number("http.response.body.size", record.bytes_down);
    attributes.fraction("countersign.duration_ms", millis(record.took));
    if let Some(upstream) = record.upstream {
        attributes.fraction("countersign.upstream_ms", millis(upstream));
    }
    let place = trace.map(Trace::reference);
    LogRecord {
        time_unix_nano: nanos(record.at),
        observed_time_unix_nano: nanos(record.at.checked_add(record.took).unwrap_or(record.at)),
        severity_number,
        severity_text: severity_text.to_owned(),
        body: Some(AnyValue { value: Some(Value::Text(sentence(record))) }),
        attributes: attributes.into_vec(),
        flags: trace.map_or(0, Trace::flags),
        trace_id: place.map(|place| place.trace.0.to_vec()).unwrap_or_default(),
        span_id: place.map(|place| place.span.0.to_vec()).unwrap_or_default(),
        event_name: EVENT.to_owned(),
    }
}

/// `countersigned s3:GetObject: 200`.
fn sentence(record: &Record) -> String {
    let action = record.call.as_ref().and_then(|call| call.action.as_deref()).unwrap_or("a request");
    let end = failure(&record.outcome).map(str::to_owned).or_else(|| status(&record.outcome).map(|s| s.to_string()));
    format!("{} {action}: {}", decision(&record.outcome), end.unwrap_or_default())
}

fn millis(took: jiff::SignedDuration) -> f64 {
    took.as_micros() as f64 / 1000.0
}
