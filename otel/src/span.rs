//! A request as spans: one for what the program asked of us (a server's), one for what we asked of the destination (a
//! client's) where it came to that.

use access::{Outcome, Record};
use http::{Method, Version};
use jiff::{SignedDuration, Timestamp};

use crate::attributes::{Attributes, failure, operation, reason, status};
use crate::message::{Span, SpanKind, Status, StatusCode};
use crate::trace::{Place, Recorded, Toward, Trace};

/// Bits of `Span.flags` above those of `traceparent`: that the next one means something, and that the parent is in
/// another process.
const KNOWN: u32 = 0x100;
const REMOTE: u32 = 0x200;

/// The methods of RFC 9110 and PATCH; any other is `_OTHER` (semantic conventions for HTTP).
const METHODS: [Method; 9] = [
    Method::CONNECT,
    Method::DELETE,
    Method::GET,
    Method::HEAD,
    Method::OPTIONS,
    Method::PATCH,
    Method::POST,
    Method::PUT,
    Method::TRACE,
];

/// The spans of a request that has ended.
pub(crate) fn spans(record: &Record, trace: &Trace) -> impl Iterator<Item = Span> {
    let recorded = trace.recorded.as_ref();
    let asked = recorded.map(|recorded| asked(record, (trace, recorded)));
    let asking =
        recorded.and_then(|recorded| recorded.toward.as_ref().map(|toward| asking(record, (trace, recorded), toward)));
    asked.into_iter().chain(asking)
}

/// What the program asked of us.
fn asked(record: &Record, (trace, recorded): (&Trace, &Recorded)) -> Span {
    let mut attributes = Attributes::default();
    attributes.decision(record);
    http(&mut attributes, (record, recorded), recorded.toward.as_ref().map(|toward| &toward.asked));
    attributes.maybe("network.protocol.version", protocol_version(recorded.version));
    attributes.call(record);
    if let Some(told) = recorded.told {
        attributes.number("http.response.status_code", told.into());
    }
    attributes.number("http.request.body.size", record.bytes_up);
    attributes.number("http.response.body.size", record.bytes_down);
    let failed = failure(&record.outcome).map(str::to_owned);
    let failed = failed.or_else(|| status(&record.outcome).filter(|status| *status >= 500).map(|s| s.to_string()));
    attributes.maybe("error.type", failed.as_deref());
    let caller = trace.caller.as_ref();
    let remote = if caller.is_some() { REMOTE } else { 0 };
    Span {
        span_id: recorded.asked.0.to_vec(),
        parent_span_id: caller.map(|caller| caller.parent.0.to_vec()).unwrap_or_default(),
        name: named(recorded, record),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: nanos(record.at),
        flags: KNOWN | remote | trace.flags(),
        status: failed.is_some().then(|| error(&record.outcome)),
        ..common(record, (trace, attributes))
    }
}

/// What we asked of the destination.
fn asking(record: &Record, (trace, recorded): (&Trace, &Recorded), toward: &Toward) -> Span {
    let mut attributes = Attributes::default();
    attributes.text("countersign.request_id", record.id.to_string());
    http(&mut attributes, (record, recorded), Some(&toward.to));
    attributes.call(record);
    attributes.maybe("aws.request_id", recorded.cloud_id.as_deref());
    attributes.maybe("aws.extended_request_id", recorded.extended_id.as_deref());
    let status = status(&record.outcome);
    if let Some(status) = status {
        attributes.number("http.response.status_code", status.into());
    }
    let failed = failure(&record.outcome).map(str::to_owned);
    // To a client, all from 400 on are errors.
    let failed = failed.or_else(|| status.filter(|status| *status >= 400).map(|status| status.to_string()));
    attributes.maybe("error.type", failed.as_deref());
    let after = SignedDuration::try_from(toward.after).unwrap_or_default();
    Span {
        span_id: recorded.asking.0.to_vec(),
        parent_span_id: recorded.asked.0.to_vec(),
        name: record.call.as_ref().zip(operation(record)).map_or_else(
            || method(&recorded.method).to_owned(),
            |(call, operation)| format!("{}.{operation}", call.service),
        ),
        kind: SpanKind::Client.into(),
        start_time_unix_nano: nanos(record.at.checked_add(after).unwrap_or(record.at)),
        flags: KNOWN | trace.flags(),
        status: failed.is_some().then(|| error(&record.outcome)),
        ..common(record, (trace, attributes))
    }
}

fn common(record: &Record, (trace, attributes): (&Trace, Attributes)) -> Span {
    Span {
        trace_id: trace.id.0.to_vec(),
        trace_state: trace.caller.as_ref().map(|caller| caller.state.clone()).unwrap_or_default(),
        end_time_unix_nano: nanos(record.at.checked_add(record.took).unwrap_or(record.at)),
        attributes: attributes.into_vec(),
        ..Span::default()
    }
}

/// A method and a service: there are few of both (semantic conventions: span names are of low cardinality).
fn named(recorded: &Recorded, record: &Record) -> String {
    let method = method(&recorded.method);
    record.call.as_ref().map_or_else(|| method.to_owned(), |call| format!("{method} {}", call.service))
}

fn http(attributes: &mut Attributes, (record, recorded): (&Record, &Recorded), at: Option<&Place>) {
    let call = record.call.as_ref();
    attributes.text("http.request.method", method(&recorded.method));
    attributes.maybe("server.address", at.map(|at| &*at.host).or(call.map(|call| call.host.as_str())));
    if let Some(at) = at {
        attributes.number("server.port", at.port.into());
        attributes.text("url.scheme", at.scheme);
    }
    attributes.maybe("url.path", call.map(|call| call.path.as_str()));
}

fn method(method: &Method) -> &str {
    if METHODS.contains(method) { method.as_str() } else { "_OTHER" }
}

fn protocol_version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        _ => None,
    }
}

fn error(outcome: &Outcome) -> Status {
    Status { message: reason(outcome).unwrap_or_default().to_owned(), code: StatusCode::Error.into() }
}

/// Nanoseconds since 1970.
pub(crate) fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or_default()
}
