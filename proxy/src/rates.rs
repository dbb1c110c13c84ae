//! How many requests a second, by whoever asks and by what is asked for: token buckets that one number holds each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::{Refusal, RefusalCode, TargetName};
use config::Rates;
use moka::sync::Cache;
use tokio::time::Instant;

/// What may come at once after a pause: two seconds' worth. SDKs open with a burst, and are not to be punished for it.
const BURST: u64 = 2;

/// Peers whose rate is remembered. One that was forgotten begins with a full bucket.
const MAX_PEERS: u64 = 10_000;

/// After so long without a request a bucket is full again, whatever the rate.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// Tokens of a peer a second that are verified. Programs have one each, and show it again and again.
const TOKENS_PER_PEER: u32 = 20;

/// A generic cell rate algorithm (ITU-T I.371): the only state is the time at which the bucket would be full.
#[derive(Debug, Default)]
struct Bucket {
    /// In nanoseconds since `Limiter::began`.
    full_at: AtomicU64,
}

impl Bucket {
    /// Takes a ticket, if there is one at `now`.
    fn take(&self, now: u64, per_second: u32) -> bool {
        let every = 1_000_000_000 / u64::from(per_second);
        let room = every * u64::from(per_second) * BURST;
        let taken = self.full_at.fetch_update(Ordering::AcqRel, Ordering::Acquire, |full_at| {
            let next = full_at.max(now) + every;
            (next <= now + room).then_some(next)
        });
        taken.is_ok()
    }
}

/// The limits of requests. Without any in the settings it costs two comparisons.
#[derive(Debug)]
pub(crate) struct Limiter {
    began: Instant,
    rates: Rates,
    peers: Cache<IpAddr, Arc<Bucket>>,
    targets: HashMap<TargetName, Arc<Bucket>>,
    tokens: Cache<IpAddr, Arc<Bucket>>,
}

impl Limiter {
    pub(crate) fn new(rates: Rates, targets: impl IntoIterator<Item = TargetName>) -> Self {
        let buckets = || Cache::builder().max_capacity(MAX_PEERS).time_to_idle(FORGET_AFTER).build();
        let targets = targets.into_iter().map(|target| (target, Arc::default())).collect();
        Self { began: Instant::now(), rates, peers: buckets(), targets, tokens: buckets() }
    }

    /// The same under other settings. What was taken stays taken, or every change would fill the buckets.
    pub(crate) fn renewed(&self, rates: Rates, targets: impl IntoIterator<Item = TargetName>) -> Self {
        let bucket = |target| (self.targets.get(&target).cloned().unwrap_or_default(), target);
        let targets = targets.into_iter().map(bucket).map(|(bucket, target)| (target, bucket)).collect();
        Self { began: self.began, rates, peers: self.peers.clone(), targets, tokens: self.tokens.clone() }
    }

    /// Whether another token of `peer` may be taken to the lessor, who verifies it: work that strangers can ask for.
    pub(crate) fn admit_token(&self, peer: IpAddr) -> Result<(), Refusal> {
        let bucket = self.tokens.get_with(peer, Arc::default);
        self.admit(&bucket, TOKENS_PER_PEER, || {
            format!("{peer} shows more than {TOKENS_PER_PEER} tokens a second that were not seen just now")
        })
    }

    /// Whether `peer` may make another request.
    pub(crate) fn admit_peer(&self, peer: IpAddr) -> Result<(), Refusal> {
        let Some(per_second) = self.rates.requests_per_peer else { return Ok(()) };
        let bucket = self.peers.get_with(peer, Arc::default);
        self.admit(&bucket, per_second, || format!("{peer} makes more than {per_second} requests a second"))
    }

    /// Whether another request may be made at `target`.
    pub(crate) fn admit_target(&self, target: &TargetName) -> Result<(), Refusal> {
        let Some(per_second) = self.rates.requests_per_target else { return Ok(()) };
        let Some(bucket) = self.targets.get(target) else { return Ok(()) };
        self.admit(bucket, per_second, || format!("more than {per_second} requests a second go to target {target}"))
    }

    fn admit(&self, bucket: &Bucket, per_second: u32, why: impl FnOnce() -> String) -> Result<(), Refusal> {
        let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if bucket.take(now, per_second) {
            return Ok(());
        }
        Err(Refusal::new(RefusalCode::RateLimited, why()).help("slow down; `proxy.limits` says how much may come"))
    }
}

/// Connections by peer. It is locked when one begins and ends, not per request.
#[derive(Debug, Default)]
pub(crate) struct Peers(Mutex<HashMap<IpAddr, usize>>);

/// A connection's place among those of its peer.
#[derive(Debug)]
pub(crate) struct Guest {
    peers: Arc<Peers>,
    peer: IpAddr,
}

impl Peers {
    /// A place, if fewer than `most` are taken.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr, most: Option<u32>) -> Option<Guest> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(peer).or_default();
        if most.is_some_and(|most| *count >= most as usize) {
            return None;
        }
        *count += 1;
        Some(Guest { peers: self.clone(), peer })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut open = self.peers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn bucket_gives_a_burst_and_then_its_rate() {
        let bucket = Bucket::default();
        let taken = |now: u64| (0..1000).take_while(|_| bucket.take(now, 10)).count();
        assert_eq!(taken(100 * SECOND), 20);
        assert_eq!(taken(100 * SECOND + SECOND / 10), 1);
        assert_eq!(taken(101 * SECOND), 9);
        assert_eq!(taken(1000 * SECOND), 20, "a long pause saves up no more than a burst");
    }

    #[tokio::test]
    async fn one_peers_flood_is_not_anothers() {
        let rates = Rates { requests_per_peer: Some(5), ..Rates::default() };
        let limiter = Limiter::new(rates, []);
        let admitted = |peer: &str| (0..100).filter(|_| limiter.admit_peer(peer.parse().unwrap()).is_ok()).count();
        assert!((10..15).contains(&admitted("10.0.0.1")));
        assert!((10..15).contains(&admitted("10.0.0.2")));
        assert!(limiter.admit_target(&TargetName::new("any").unwrap()).is_ok());
    }

    #[tokio::test]
    async fn other_settings_do_not_fill_what_was_used_up() {
        let rates = Rates { requests_per_peer: Some(5), requests_per_target: Some(5), ..Rates::default() };
        let (peer, target) = ("10.0.0.1".parse().unwrap(), TargetName::new("receipts").unwrap());
        let mut limiter = Limiter::new(rates, [target.clone()]);
        let used = |limiter: &Limiter| {
            let taken = |admit: &dyn Fn() -> bool| (0..1000).take_while(|_| admit()).count();
            [taken(&|| limiter.admit_peer(peer).is_ok()), taken(&|| limiter.admit_target(&target).is_ok())]
        };
        assert!(used(&limiter).iter().all(|taken| *taken >= 10));
        for _ in 0..5 {
            limiter = limiter.renewed(rates, [target.clone()]);
            assert!(used(&limiter).iter().all(|taken| *taken <= 1));
        }
    }

    #[test]
    fn place_of_a_connection_that_ended_is_free_again() {
        let peers = Arc::new(Peers::default());
        let peer = "10.0.0.1".parse().unwrap();
        let one = peers.admit(peer, Some(1)).unwrap();
        assert!(peers.admit(peer, Some(1)).is_none());
        assert!(peers.admit("10.0.0.2".parse().unwrap(), Some(1)).is_some());
        drop(one);
        assert!(peers.admit(peer, Some(1)).is_some());
        assert!(peers.0.lock().unwrap().is_empty(), "nothing is remembered of who left");
    }
}
