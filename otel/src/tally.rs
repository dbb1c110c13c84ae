//! What is counted of the export: what the collector has, what waits, what it will never get.

use serve::metrics::{Counted, Counter, Family, Kind, Page};

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Spans,
    Records,
}

/// Why something is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Too much waited.
    Queue,
    /// The collector did not want it.
    Refused,
    /// The collector could not be asked.
    Unreachable,
    /// The process ended first.
    Stopped,
}

const SIGNALS: [(Signal, &str); 2] = [(Signal::Spans, "spans"), (Signal::Records, "records")];

const LOSSES: [(Loss, &str); 4] = [
    (Loss::Queue, "queue_full"),
    (Loss::Refused, "refused"),
    (Loss::Unreachable, "unreachable"),
    (Loss::Stopped, "stopped"),
];

/// Counters since the start.
#[derive(Debug, Default)]
pub struct Tally {
    queued: [Counter; SIGNALS.len()],
    exported: [Counter; SIGNALS.len()],
    lost: [[Counter; LOSSES.len()]; SIGNALS.len()],
}

impl Tally {
    pub(crate) fn queued(&self, signal: Signal) -> &Counter {
        &self.queued[signal as usize]
    }

    pub(crate) fn exported(&self, signal: Signal) -> &Counter {
        &self.exported[signal as usize]
    }

    pub(crate) fn lost(&self, signal: Signal, loss: Loss) -> &Counter {
        &self.lost[signal as usize][loss as usize]
    }

    /// All that is lost.
    pub fn losses(&self) -> u64 {
        self.lost.iter().flatten().map(Counter::value).sum()
    }
}

impl Counted for Tally {
    fn tell(&self, page: &mut Page) {
        for (family, counters) in [(&QUEUED, &self.queued), (&EXPORTED, &self.exported)] {
            let rows = SIGNALS.map(|(signal, name)| ([("signal", name)], counters[signal as usize].value()));
            page.family(family, rows.iter().map(|(labels, number)| (&labels[..], *number)));
        }
        let lost = SIGNALS.iter().flat_map(|(signal, name)| {
            LOSSES.map(|(loss, why)| ([("signal", *name), ("reason", why)], self.lost(*signal, loss).value()))
        });
        let lost: Vec<_> = lost.collect();
        page.family(&LOST, lost.iter().map(|(labels, number)| (&labels[..], *number)));
    }
}

const QUEUED: Family = Family {
    name: "countersign_otlp_queued",
    kind: Kind::Gauge,
    help: "Spans and access records that wait to be sent to the collector, by signal",
};
const EXPORTED: Family = Family {
    name: "countersign_otlp_exported_total",
    kind: Kind::Counter,
    help: "Spans and access records that the collector has taken, by signal",
};
const LOST: Family = Family {
    name: "countersign_otlp_lost_total",
    kind: Kind::Counter,
    help: "Spans and access records that the collector never got, by signal and reason: the queue was full, it refused them, it could not be reached, the process stopped",
};
