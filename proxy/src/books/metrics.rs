//! What the sidecar counts.

mod services;

use std::sync::Arc;
use std::time::Duration;

use access::{Outcome, Record, RefusalCode};
use otel::Tally;
use serve::metrics::{Counted, Counter, Family, Kind, Page};

use services::Services;

/// Counters since the start; gauges say so.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Connections from programs, open now (gauge).
    pub connections: Counter,
    /// Connections from programs, ever.
    pub accepted: Counter,
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
    /// Tunnels open now (gauge).
    pub open_tunnels: Counter,
    /// Bytes from programs: bodies and tunnels.
    pub bytes_up: Counter,
    /// Bytes to programs: bodies and tunnels.
    pub bytes_down: Counter,
    /// Access records that wait to be stored (gauge).
    pub records_queued: Counter,
    /// Access records that were lost because the queue was full or the lessor could not be reached in time.
    pub records_dropped: Counter,
    /// Lines of the access log that were written.
    pub lines_written: Counter,
    /// Lines of the access log that were lost because they came faster than they could be written, or could not be.
    pub lines_lost: Counter,
    /// Connections that were closed at once because their peer has as many as it may.
    pub turned_away: Counter,
    /// Connections that were closed because they said nothing while others waited for a place.
    pub shed: Counter,
    /// What a collector is told.
    pub otlp: Arc<Tally>,
    refusals: [Counter; RefusalCode::ALL.len()],
    services: Services,
}

impl Metrics {
    pub(crate) fn count(&self, record: &Record) {
        match &record.outcome {
            Outcome::Countersigned { .. } => &self.countersigned,
            Outcome::Passed { .. } => &self.passed,
            Outcome::Refused { code, .. } => {
                self.refusals.get(*code as usize).inspect(|counter| counter.add(1));
                &self.refused
            }
            Outcome::Broken { .. } => &self.broken,
            // It was counted when it began, and is no request.
            Outcome::Tunnelled => return self.carried(record),
        }
        .add(1);
        self.carried(record);
        let took = Duration::try_from(record.took).unwrap_or_default();
        self.services.count(record.call.as_ref(), &record.outcome, took);
    }

    fn carried(&self, record: &Record) {
        self.bytes_up.add(record.bytes_up);
        self.bytes_down.add(record.bytes_down);
    }
}

impl Counted for Metrics {
    fn tell(&self, page: &mut Page) {
        self.services.tell(page);
        let refusals = RefusalCode::ALL.into_iter().zip(&self.refusals).filter(|(_, counter)| counter.value() > 0);
        let refusals: Vec<_> = refusals.map(|(code, counter)| ([("code", code.as_str())], counter.value())).collect();
        page.family(&REFUSALS, refusals.iter().map(|(labels, number)| (&labels[..], *number)));
        let (up, down) = ([("direction", "up")], [("direction", "down")]);
        page.family(&BYTES, [(&up[..], self.bytes_up.value()), (&down[..], self.bytes_down.value())]);
        for (family, counter) in [
            (&CONNECTIONS, &self.connections),
            (&ACCEPTED, &self.accepted),
            (&TUNNELS, &self.open_tunnels),
            (&TUNNELLED, &self.tunnels),
            (&QUEUED, &self.records_queued),
            (&LOST, &self.records_dropped),
            (&LINES, &self.lines_written),
            (&LINES_LOST, &self.lines_lost),
            (&TURNED_AWAY, &self.turned_away),
            (&SHED, &self.shed),
        ] {
            page.number(family, counter.value());
        }
        self.otlp.tell(page);
    }
}

/// Counts something as long as it is there, even if it is cut.
#[derive(Debug)]
pub(crate) struct Present {
    metrics: Arc<Metrics>,
    of: fn(&Metrics) -> &Counter,
}

impl Present {
    pub(crate) fn count(metrics: &Arc<Metrics>, of: fn(&Metrics) -> &Counter) -> Self {
        of(metrics).add(1);
        Self { metrics: metrics.clone(), of }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        (self.of)(&self.metrics).take_away(1);
    }
}

const REFUSALS: Family = Family {
    name: "countersign_refusals_total",
    kind: Kind::Counter,
    help: "Requests and tunnels refused, by the code that the program was told",
};
const BYTES: Family = Family {
    name: "countersign_bytes_total",
    kind: Kind::Counter,
    help: "Bytes of bodies and tunnels, by direction: up from programs, down to them",
};
const CONNECTIONS: Family =
    Family { name: "countersign_connections", kind: Kind::Gauge, help: "Connections from programs, open now" };
const ACCEPTED: Family =
    Family { name: "countersign_connections_total", kind: Kind::Counter, help: "Connections from programs" };
const TUNNELS: Family = Family { name: "countersign_tunnels", kind: Kind::Gauge, help: "Tunnels, open now" };
const TUNNELLED: Family = Family {
    name: "countersign_tunnels_total",
    kind: Kind::Counter,
    help: "Tunnels that were opened to what is no cloud",
};
const QUEUED: Family = Family {
    name: "countersign_audit_queued",
    kind: Kind::Gauge,
    help: "Access records that wait to be written to the audit book",
};
const LOST: Family = Family {
    name: "countersign_audit_lost_total",
    kind: Kind::Counter,
    help: "Access records that never reached the audit book because too many waited",
};
const LINES: Family = Family {
    name: "countersign_access_log_lines_total",
    kind: Kind::Counter,
    help: "Lines of the access log that were written",
};
const LINES_LOST: Family = Family {
    name: "countersign_access_log_lost_total",
    kind: Kind::Counter,
    help: "Lines of the access log that were lost: they came faster than they could be written, or could not be",
};
const TURNED_AWAY: Family = Family {
    name: "countersign_connections_turned_away_total",
    kind: Kind::Counter,
    help: "Connections closed at once because their peer has as many as it may",
};
const SHED: Family = Family {
    name: "countersign_connections_shed_total",
    kind: Kind::Counter,
    help: "Connections closed because they had said nothing yet while others waited for a place",
};
