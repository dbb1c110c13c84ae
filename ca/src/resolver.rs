//! `Leaves`: the certificates in use, one per host, remembered and renewed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use moka::ops::compute::Op;
use moka::sync::Cache;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::{Host, Leaf, LeafError, Mint, Root};

/// How many hosts are remembered. A busy program talks to some hundred (S3 has one per bucket); a leaf takes about
/// a kilobyte, and one that was pushed out costs a signature to make again.
const CAPACITY: u64 = 1024;

/// What time it is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Hands out certificates, and makes those that are missing or old. A host that many connections ask for at once is
/// made once.
///
/// Freshness is judged by the wall clock at each use, not by the cache's own timer: that one stands still while a
/// laptop sleeps, and would hand out certificates that expired meanwhile.
pub struct Leaves {
    mint: Mint,
    clock: Clock,
    remembered: Cache<Host, Leaf>,
    found: AtomicU64,
    minted: AtomicU64,
}

/// How often certificates were there, and how often they had to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeafCounts {
    /// Handed out as they were remembered.
    pub found: u64,
    /// Made.
    pub minted: u64,
    /// Remembered now, more or less.
    pub remembered: u64,
}

impl Leaves {
    /// Begins with none.
    pub fn new(mint: Mint, clock: Clock) -> Self {
        Self { mint, clock, remembered: Cache::new(CAPACITY), found: AtomicU64::new(0), minted: AtomicU64::new(0) }
    }

    /// The certificate for this host.
    pub fn leaf(&self, host: &Host) -> Result<Arc<CertifiedKey>, LeafError> {
        match self.fresh(host.as_str()) {
            Some(certified) => Ok(certified),
            None => self.renew(host),
        }
    }

    /// How often certificates were there.
    pub fn counts(&self) -> LeafCounts {
        LeafCounts {
            found: self.found.load(Ordering::Relaxed),
            minted: self.minted.load(Ordering::Relaxed),
            remembered: {
                // What was put in lately is counted only then.
                self.remembered.run_pending_tasks();
                self.remembered.entry_count()
            },
        }
    }

    /// The root that signs them.
    pub fn root(&self) -> &Root {
        self.mint.root()
    }

    /// The time by which certificates are made.
    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
    }

    fn fresh(&self, host: &str) -> Option<Arc<CertifiedKey>> {
        let leaf = self.remembered.get(host).filter(|leaf| leaf.is_fresh((self.clock)()))?;
        self.found.fetch_add(1, Ordering::Relaxed);
        Some(Arc::clone(leaf.certified()))
    }

    fn renew(&self, host: &Host) -> Result<Arc<CertifiedKey>, LeafError> {
        let computed = self.remembered.entry_by_ref(host).and_try_compute_with(|entry| {
            let now = (self.clock)();
            match entry {
                Some(entry) if entry.value().is_fresh(now) => Ok(Op::Nop),
                _ => {
                    self.minted.fetch_add(1, Ordering::Relaxed);
                    self.mint.mint(host, now).map(Op::Put)
                }
            }
        })?;
        let entry = computed.into_entry().expect("the closure leaves an entry or returns an error");
        Ok(Arc::clone(entry.value().certified()))
    }
}

/// By the name that the client sends. A client that sends none is refused: see
/// [`ServerTls::for_host`](crate::ServerTls::for_host) for those.
impl ResolvesServerCert for Leaves {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?;
        if let Some(certified) = self.fresh(name) {
            return Some(certified);
        }
        let host = Host::parse(name).ok()?;
        let refused =
            |error: &LeafError| tracing::warn!(%host, error = error as &dyn std::error::Error, "no certificate");
        self.renew(&host).inspect_err(refused).ok()
    }
}

impl fmt::Debug for Leaves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaves")
            .field("mint", &self.mint)
            .field("remembered", &self.remembered.entry_count())
            .finish_non_exhaustive()
    }
}

/// One certificate for one host: for a tunnel whose host is known before the handshake begins.
#[derive(Debug)]
pub(crate) struct Pinned {
    pub(crate) host: Host,
    pub(crate) certified: Arc<CertifiedKey>,
}

/// A client that names another host in its handshake than it asked the tunnel for is refused; one that names none
/// (as all do for IP addresses, RFC 6066 §3, and Java does for names without a dot) gets the certificate of the host
/// it asked for.
impl ResolvesServerCert for Pinned {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let agrees = match hello.server_name() {
            Some(name) => Host::parse(name).is_ok_and(|named| named == self.host),
            None => true,
        };
        agrees.then(|| Arc::clone(&self.certified))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use jiff::SignedDuration;

    use super::*;
    use crate::stage::{self, Hands, ROOT_LIFETIME, host};

    #[test]
    fn leaf_is_made_once_and_again_when_it_gets_old() {
        let hands = Hands::at_noon();
        let leaves = stage::leaves(&["amazonaws.com"], &hands);
        let s3 = || leaves.leaf(&host("s3.amazonaws.com")).unwrap();

        let first = s3();
        assert!(Arc::ptr_eq(&first, &s3()));
        hands.turn(SignedDuration::from_hours(12));
        let second = s3();
        assert_ne!(first.cert, second.cert);
        assert!(Arc::ptr_eq(&second, &s3()));
    }

    #[test]
    fn clock_that_is_set_back_does_not_bring_out_leaves_of_the_future() {
        let hands = Hands::at_noon();
        let leaves = stage::leaves(&["amazonaws.com"], &hands);
        hands.turn(SignedDuration::from_hours(10));
        let future = leaves.leaf(&host("s3.amazonaws.com")).unwrap();
        hands.turn(SignedDuration::from_hours(-10));
        assert_ne!(leaves.leaf(&host("s3.amazonaws.com")).unwrap().cert, future.cert);
    }

    #[test]
    fn remembered_leaf_is_not_handed_out_after_the_root_has_expired() {
        let hands = Hands::at_noon();
        let leaves = stage::leaves(&["amazonaws.com"], &hands);
        hands.turn(ROOT_LIFETIME - SignedDuration::from_secs(1));
        leaves.leaf(&host("s3.amazonaws.com")).unwrap();
        hands.turn(SignedDuration::from_secs(1));
        let refusal = leaves.leaf(&host("s3.amazonaws.com")).unwrap_err();
        assert!(matches!(refusal, LeafError::RootNotValid { .. }), "{refusal}");
    }

    #[test]
    fn many_at_once_get_one_and_the_same_leaf() {
        let leaves = stage::leaves(&["amazonaws.com"], &Hands::at_noon());
        let certificates: HashSet<_> = thread::scope(|scope| {
            let ask = || leaves.leaf(&host("s3.amazonaws.com")).unwrap().cert[0].clone();
            let asking: Vec<_> = (0..16).map(|_| scope.spawn(ask)).collect();
            asking.into_iter().map(|thread| thread.join().unwrap().to_vec()).collect()
        });
        assert_eq!(certificates.len(), 1);
    }

    #[test]
    fn hosts_without_end_do_not_fill_the_memory() {
        let leaves = stage::leaves(&["amazonaws.com"], &Hands::at_noon());
        for number in 0..CAPACITY + 200 {
            leaves.leaf(&host(&format!("bucket-{number}.s3.amazonaws.com"))).unwrap();
        }
        leaves.remembered.run_pending_tasks();
        assert!(leaves.remembered.entry_count() <= CAPACITY, "{}", leaves.remembered.entry_count());
    }

    #[test]
    fn refusal_is_not_remembered() {
        let leaves = stage::leaves(&["amazonaws.com"], &Hands::at_noon());
        leaves.leaf(&host("example.com")).unwrap_err();
        leaves.remembered.run_pending_tasks();
        assert_eq!(leaves.remembered.entry_count(), 0);
    }
}
