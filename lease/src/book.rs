//! What was lent on one piece of evidence for one target: a lease per grant, and whose turn it is to ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use access::{Call, Context, Lease, Refusal};
use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;

/// Leases in one book: one per grant to the target that ever covered a call of this caller. Past this many the oldest
/// goes and is asked for again.
const MAX_LEASES: usize = 64;

/// No lease is asked for again sooner than this, however short it is.
const SHORTEST_REFRESH: SignedDuration = SignedDuration::from_secs(60);

/// After a refresh that failed.
const PAUSE_AFTER_FAILURE: SignedDuration = SignedDuration::from_secs(15);

/// The leases that one caller holds for one target. Reading takes no lock.
#[derive(Debug)]
pub(crate) struct Book {
    leases: ArcSwap<Vec<Arc<Lease>>>,
    /// One ticket: whoever holds it asks, the others wait and then look again.
    pub(crate) turn: Semaphore,
    flights: AtomicU64,
    /// Why the last flight failed, if it did for want of somebody to ask.
    unavailable: ArcSwapOption<Refusal>,
    refreshing: AtomicBool,
    /// Unix seconds before which no refresh starts.
    not_before: AtomicI64,
}

impl Book {
    pub(crate) fn new() -> Self {
        Self {
            leases: ArcSwap::default(),
            turn: Semaphore::new(1),
            flights: AtomicU64::new(0),
            unavailable: ArcSwapOption::empty(),
            refreshing: AtomicBool::new(false),
            not_before: AtomicI64::new(i64::MIN),
        }
    }

    /// A live lease that covers `call`, here and now.
    pub(crate) fn find(&self, call: &Call, context: &Context) -> Option<Arc<Lease>> {
        self.leases.load().iter().find(|lease| lease.admits(call, context).is_ok()).cloned()
    }

    /// Keeps `lease` in place of the one by the same grant.
    pub(crate) fn keep(&self, lease: &Arc<Lease>) {
        self.leases.rcu(|leases| {
            let others = leases.iter().filter(|held| held.permit().grant().name != lease.permit().grant().name);
            let mut kept: Vec<_> = std::iter::once(lease).chain(others).cloned().collect();
            kept.truncate(MAX_LEASES);
            kept
        });
    }

    /// Keeps only the leases that `stands` says stand.
    pub(crate) fn retain(&self, stands: impl Fn(&Lease) -> bool) {
        self.leases.rcu(|leases| leases.iter().filter(|lease| stands(lease)).cloned().collect::<Vec<_>>());
    }

    /// Gives `lease` up.
    pub(crate) fn drop_lease(&self, lease: &Lease) {
        self.leases.rcu(|leases| leases.iter().filter(|held| held.id() != lease.id()).cloned().collect::<Vec<_>>());
    }

    /// How many flights have ended. Whoever waits for its turn compares.
    pub(crate) fn flights(&self) -> u64 {
        self.flights.load(Ordering::Acquire)
    }

    /// Says how a flight ended.
    pub(crate) fn landed(&self, unavailable: Option<&Refusal>) {
        self.unavailable.store(unavailable.cloned().map(Arc::new));
        self.flights.fetch_add(1, Ordering::Release);
    }

    /// Why the last flight failed, if there was nobody to ask: those who waited for it need not try in vain as well.
    pub(crate) fn unavailable(&self) -> Option<Arc<Refusal>> {
        self.unavailable.load_full()
    }

    /// Whether the caller is the one to refresh `lease` now.
    pub(crate) fn claim_refresh(&self, lease: &Lease, now: Timestamp) -> bool {
        now >= refresh_at(lease)
            && now.as_second() >= self.not_before.load(Ordering::Relaxed)
            && !self.refreshing.swap(true, Ordering::AcqRel)
    }

    /// Ends what [`Self::claim_refresh`] began.
    pub(crate) fn refreshed(&self, whole: bool, now: Timestamp) {
        if !whole {
            let pause = now.checked_add(PAUSE_AFTER_FAILURE).unwrap_or(now);
            self.not_before.store(pause.as_second(), Ordering::Relaxed);
        }
        self.refreshing.store(false, Ordering::Release);
    }
}

/// When to ask again: after two thirds of the lease, up to a tenth earlier. The spread comes from the random bits of
/// the lease's id (UUIDv7, RFC 9562 §5.7), so a fleet that started together does not refresh together.
fn refresh_at(lease: &Lease) -> Timestamp {
    let whole = lease.until().duration_since(lease.issued());
    let random = i32::from(lease.id().uuid().as_bytes()[15]);
    let early = whole / 10 * random / 256;
    let ahead = (whole / 3 * 2 - early).max(SHORTEST_REFRESH);
    lease.issued().checked_add(ahead).unwrap_or(Timestamp::MAX)
}
