//! Request ids: UUIDv7 (RFC 9562 §5.7), without a system call each.

use std::sync::atomic::{AtomicU64, Ordering};

use access::RequestId;
use jiff::Timestamp;
use uuid::Builder;

/// Makes ids. They are unique, and sort by time; they are shown to programs, so nothing depends on nobody guessing one.
#[derive(Debug)]
pub(crate) struct RequestIds {
    /// Tells processes apart.
    seed: u64,
    count: AtomicU64,
}

impl RequestIds {
    /// `seed`: 64 random bits.
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, count: AtomicU64::new(0) }
    }

    /// The next one: the time, and in the bits that are free a counter and the seed. Version and variant stand in the
    /// first and third of the ten bytes, so the counter keeps away from them.
    pub(crate) fn next(&self, now: Timestamp) -> RequestId {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mut random = [0; 10];
        let seed = self.seed.to_be_bytes();
        random[..3].copy_from_slice(&seed[..3]);
        random[3..7].copy_from_slice(&count.to_be_bytes()[4..]);
        random[7..].copy_from_slice(&seed[3..6]);
        let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
        RequestId::new(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_of_one_moment_differ_and_are_uuids_of_version_7() {
        let ids = RequestIds::new(u64::MAX);
        let made: BTreeSet<_> = (0..100_000).map(|_| ids.next(Timestamp::UNIX_EPOCH)).collect();
        assert_eq!(made.len(), 100_000);
        assert!(made.iter().all(|id| id.uuid().get_version_num() == 7));
    }
}
