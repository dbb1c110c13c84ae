//! OpenTelemetry: traces that programs began are continued, and a collector is told what was done.
//!
//! ```text
//! traceparent --context--> Trace --pipeline--> Told --queue--> spans, log records --collector--> OTLP/HTTP
//! ```
//!
//! Whatever a collector does, no request waits for it: what comes faster than it takes is counted as lost.

mod ids;

mod context;
mod trace;
mod tracer;

mod message;

mod attributes;
mod log;
mod span;

mod collector;
mod exporter;
mod tally;

pub use collector::CollectorError;
pub use context::{Context, TRACEPARENT};
pub use exporter::{Exporter, Exporting, Settings};
pub use ids::{SpanId, TraceId};
pub use tally::Tally;
pub use trace::{Place, Reference, Trace};
pub use tracer::{Sampling, Tracer};
