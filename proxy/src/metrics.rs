//! What the sidecar counts.

use std::sync::atomic::{AtomicU64, Ordering};

use access::Outcome;

/// A number that is only ever read and changed as a whole.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The number now.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn take_away(&self, less: u64) {
        self.0.fetch_sub(less, Ordering::Relaxed);
    }
}

/// Counters since the start; gauges say so.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Connections from programs, open now (gauge).
    pub connections: Counter,
    /// Requests that a cloud answered after they were countersigned.
    pub countersigned: Counter,
    /// Requests without a credential that were passed on.
    pub passed: Counter,
    /// Requests refused.
    pub refused: Counter,
    /// Requests that broke off.
    pub broken: Counter,
    /// Tunnels opened.
    pub tunnels: Counter,
    /// Bytes from programs: bodies and tunnels.
    pub bytes_up: Counter,
    /// Bytes to programs: bodies and tunnels.
    pub bytes_down: Counter,
    /// Access records that were lost because the queue was full or the lessor could not be reached in time.
    pub records_dropped: Counter,
}

impl Metrics {
    pub(crate) fn count(&self, outcome: &Outcome, up: u64, down: u64) {
        match outcome {
            Outcome::Countersigned { .. } => &self.countersigned,
            Outcome::Passed { .. } => &self.passed,
            Outcome::Refused { .. } => &self.refused,
            Outcome::Broken { .. } => &self.broken,
        }
        .add(1);
        self.bytes_up.add(up);
        self.bytes_down.add(down);
    }
}
