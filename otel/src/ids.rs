//! Ids of traces and spans (W3C Trace Context §3.2.2.3, §3.2.2.4), without a system call each.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// Names one trace; never all zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(pub(crate) [u8; 16]);

/// Names one span of a trace; never all zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(pub(crate) [u8; 8]);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceId({self})")
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanId({self})")
    }
}

/// Makes ids. Nothing depends on nobody guessing one; they must differ, between processes too.
#[derive(Debug)]
pub(crate) struct Ids {
    seeds: [u64; 3],
    count: AtomicU64,
}

impl Ids {
    pub(crate) fn new() -> Result<Self, Unspecified> {
        let mut bytes = [0; 24];
        SystemRandom::new().fill(&mut bytes)?;
        let (seeds, _) = bytes.as_chunks::<8>();
        let seed = |place: usize| seeds.get(place).copied().map_or(0, u64::from_be_bytes);
        Ok(Self::from_seeds([seed(0), seed(1), seed(2)]))
    }

    const fn from_seeds(seeds: [u64; 3]) -> Self {
        Self { seeds, count: AtomicU64::new(0) }
    }

    pub(crate) fn trace(&self) -> TraceId {
        let count = self.next();
        let [high, low] = [1, 2].map(|seed| mixed(self.seeds[seed].wrapping_add(count)));
        TraceId((u128::from(high) << 64 | u128::from(low.max(1))).to_be_bytes())
    }

    pub(crate) fn span(&self) -> SpanId {
        SpanId(mixed(self.seeds[0].wrapping_add(self.next())).max(1).to_be_bytes())
    }

    fn next(&self) -> u64 {
        /// 2⁶⁴ divided by the golden ratio, which is odd: it goes through all numbers before one comes again.
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        self.count.fetch_add(STEP, Ordering::Relaxed)
    }
}

/// The mixing step of SplitMix64 (Steele, Lea, Flood, 2014). Different numbers stay different, and look like random ones.
const fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_differ_within_a_process_and_between_processes() {
        let (one, other) = (Ids::new().unwrap(), Ids::new().unwrap());
        let made: HashSet<_> = (0..50_000).flat_map(|_| [one.span(), other.span()]).collect();
        assert_eq!(made.len(), 100_000);
        let made: HashSet<_> = (0..50_000).flat_map(|_| [one.trace(), other.trace()]).collect();
        assert_eq!(made.len(), 100_000);
    }

    #[test]
    fn no_id_is_all_zeros() {
        let ids = Ids::from_seeds([0; 3]);
        assert_eq!(ids.span().to_string(), "0000000000000001", "which mixing alone would have made zero");
        let ids = Ids::from_seeds([0; 3]);
        assert_eq!(ids.trace().to_string(), "00000000000000000000000000000001");
    }
}
