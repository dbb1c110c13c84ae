//! How often what was needed was there.

use access::{Refusal, Retry};
use serve::metrics::{Counted, Counter, Family, Kind, Page};

/// What the lease cache counts.
#[derive(Debug, Default)]
pub struct Tally {
    pub(crate) found: Counter,
    lent: Counter,
    refused: Counter,
    failed: Counter,
    pub(crate) refreshed: Counter,
    pub(crate) unrefreshed: Counter,
    pub(crate) given_up: Counter,
}

impl Tally {
    /// Counts an answer of the lessor's to somebody who waits.
    pub(crate) fn asked(&self, refusal: Option<&Refusal>) {
        match refusal.map(|refusal| refusal.code.retry()) {
            None => &self.lent,
            Some(Retry::Never) => &self.refused,
            Some(Retry::Later) => &self.failed,
        }
        .add(1);
    }
}

impl Counted for Tally {
    fn tell(&self, page: &mut Page) {
        let results =
            [("found", &self.found), ("lent", &self.lent), ("refused", &self.refused), ("failed", &self.failed)];
        let results = results.map(|(result, counter)| ([("result", result)], counter.value()));
        page.family(&LOOKUPS, results.iter().map(|(labels, number)| (&labels[..], *number)));
        let results = [("lent", &self.refreshed), ("failed", &self.unrefreshed), ("given_up", &self.given_up)];
        let results = results.map(|(result, counter)| ([("result", result)], counter.value()));
        page.family(&REFRESHES, results.iter().map(|(labels, number)| (&labels[..], *number)));
    }
}

const LOOKUPS: Family = Family {
    name: "countersign_lease_lookups_total",
    kind: Kind::Counter,
    help: "Needs for a lease, by result: found in the cache, or else what the broker answered: lent, refused, failed",
};
const REFRESHES: Family = Family {
    name: "countersign_lease_refreshes_total",
    kind: Kind::Counter,
    help: "Refreshes of leases in the background, by result; a lease is given up where its refresh is refused",
};
