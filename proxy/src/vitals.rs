//! Whether the sidecar can work, and its numbers, for whoever asks from outside.

use std::sync::{Arc, Weak};

use serve::Finding;
use serve::metrics::{Counted, Family, Kind, Page};

use crate::app::{App, Latest};

/// Looks into a sidecar without keeping it alive: what is filed last must find its way out when all else has ended.
#[derive(Debug)]
pub struct Vitals<L>(Weak<Latest<L>>);

impl<L> Clone for Vitals<L> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<L> Vitals<L> {
    pub(crate) fn of(latest: &Arc<Latest<L>>) -> Self {
        Self(Arc::downgrade(latest))
    }

    fn app(&self) -> Option<Arc<App<L>>> {
        self.0.upgrade()?.load()
    }

    /// Whether programs are served, and go on being.
    pub fn serves(&self) -> Finding {
        match self.app() {
            Some(app) if !app.shutdown.has_begun() => Ok(()),
            Some(_) | None => Err("stopping".to_owned()),
        }
    }

    /// Whether there is something to show for whom it serves.
    pub fn has_evidence(&self) -> Finding {
        let Some(app) = self.app() else { return Err("stopping".to_owned()) };
        app.identity.evidence().map(drop).map_err(|refusal| refusal.message)
    }
}

impl<L: Send + Sync + 'static> Counted for Vitals<L> {
    fn tell(&self, page: &mut Page) {
        let Some(app) = self.app() else { return };
        app.metrics.tell(page);
        let pool = app.upstreams.pool();
        let sent = [("fresh", &pool.fresh), ("reused", &pool.reused), ("failed", &pool.failed)];
        let sent = sent.map(|(connection, counter)| ([("connection", connection)], counter.value()));
        page.family(&SENT, sent.iter().map(|(labels, number)| (&labels[..], *number)));
        page.number(&REPEATED, pool.repeated.value());
        page.number(&IDLE, pool.idle() as u64);
        let leaves = app.tls.counts();
        let made =
            [("found", leaves.found), ("minted", leaves.minted)].map(|(result, number)| ([("result", result)], number));
        page.family(&LEAVES, made.iter().map(|(labels, number)| (&labels[..], *number)));
        page.number(&REMEMBERED, leaves.remembered);
        page.number(&HELD, app.holding.held() as u64);
        page.number(&ROOT_ENDS, u64::try_from(app.tls.root().not_after().as_second()).unwrap_or_default());
    }
}

const SENT: Family = Family {
    name: "countersign_upstream_requests_total",
    kind: Kind::Counter,
    help: "Requests to destinations, by the connection they went out on: fresh, reused, or failed where none could be made",
};
const REPEATED: Family = Family {
    name: "countersign_upstream_requests_repeated_total",
    kind: Kind::Counter,
    help: "Requests that were sent once more: idempotent ones whose kept connection was closed before it brought an answer",
};
const IDLE: Family = Family {
    name: "countersign_upstream_idle_connections",
    kind: Kind::Gauge,
    help: "Connections to destinations that are kept for the next request",
};
const LEAVES: Family = Family {
    name: "countersign_leaf_certificates_total",
    kind: Kind::Counter,
    help: "Certificates needed for intercepted hosts, by result: found in the cache, or minted",
};
const REMEMBERED: Family = Family {
    name: "countersign_leaf_cache_entries",
    kind: Kind::Gauge,
    help: "Certificates of intercepted hosts that are remembered",
};
const HELD: Family = Family {
    name: "countersign_held_body_bytes",
    kind: Kind::Gauge,
    help: "Bytes of bodies that are held because they have to be hashed or read before they are sent",
};
const ROOT_ENDS: Family = Family {
    name: "countersign_ca_not_after_seconds",
    kind: Kind::Gauge,
    help: "When the root that certifies intercepted hosts ends, in seconds since 1970",
};
