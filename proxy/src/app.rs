//! What every connection of the sidecar shares.

use std::sync::Arc;
use std::time::Duration;

use access::Clock;
use ca::ServerTls;
use config::{Endpoints, Limits};
use jiff::SignedDuration;
use lease::Leases;
use serve::Shutdown;

use crate::classify::Classifier;
use crate::guard::Patience;
use crate::holding::Holding;
use crate::identify::TokenFile;
use crate::ids::RequestIds;
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::record::Entry;
use crate::reporter::Reporter;
use crate::skews::Skews;
use crate::upstream::Upstreams;

/// The parts that requests meet, in that order.
#[derive(Debug)]
pub(crate) struct App<L> {
    pub(crate) tls: ServerTls,
    pub(crate) endpoints: Endpoints,
    pub(crate) ids: RequestIds,
    pub(crate) classifier: Classifier,
    pub(crate) identity: TokenFile,
    pub(crate) leases: Arc<Leases<L>>,
    pub(crate) upstreams: Upstreams,
    pub(crate) skews: Skews,
    pub(crate) reporter: Reporter,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) holding: Holding,
    pub(crate) limits: Limits,
    pub(crate) clock: Clock,
    pub(crate) shutdown: Shutdown,
}

impl<L> App<L> {
    /// Opens the record of a request whose head is here.
    pub(crate) fn record(&self, ledger: Arc<Ledger>) -> Box<Entry> {
        let now = self.clock.now();
        Box::new(Entry::open((self.ids.next(now), now), ledger, self.reporter.clone()))
    }

    /// How long programs may take.
    pub(crate) fn patience(&self) -> Patience {
        Patience { head: span(self.limits.head_timeout), idle: self.idle() }
    }

    /// How long nothing may happen.
    pub(crate) fn idle(&self) -> Duration {
        span(self.limits.idle_timeout)
    }
}

/// A length of time as tokio takes it. Settings are never negative; one that were would be over at once.
pub(crate) fn span(duration: SignedDuration) -> Duration {
    Duration::try_from(duration).unwrap_or_default()
}
