//! Proofs that count once: which ones have, for as long as they could be shown again.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// Proofs at once; each is held for half an hour at most. Only proofs that AWS has confirmed come in, so strangers
/// cannot fill it.
const MOST: usize = 100_000;

/// Something that counts once: whoever honours a caller that came with it must find it unspent, and spend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Once {
    /// What it is known by (SHA-256).
    pub digest: [u8; 32],
    /// After this, nobody believes it anyway.
    pub until: Timestamp,
}

/// Why something does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotSpent {
    /// It has counted already.
    Before,
    /// There is no room to remember it, and what is forgotten could count twice.
    Full,
}

/// What has counted.
#[derive(Debug, Default)]
pub(super) struct Spent(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    until: HashMap<[u8; 32], Timestamp>,
    by_end: BTreeSet<(Timestamp, [u8; 32])>,
}

impl Spent {
    /// Lets it count, if it has not.
    pub(super) fn spend(&self, once: Once, now: Timestamp) -> Result<(), NotSpent> {
        // Nothing in here can panic half-way; a book that was left by a panic elsewhere is whole.
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        book.forget(now);
        if book.until.contains_key(&once.digest) {
            return Err(NotSpent::Before);
        }
        if book.until.len() >= MOST {
            return Err(NotSpent::Full);
        }
        book.until.insert(once.digest, once.until);
        book.by_end.insert((once.until, once.digest));
        Ok(())
    }

    /// Whether it has counted: asked before work is done for it, decided by [`Self::spend`].
    pub(super) fn has(&self, digest: &[u8; 32]) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).until.contains_key(digest)
    }
}

impl Book {
    fn forget(&mut self, now: Timestamp) {
        while let Some(&(until, digest)) = self.by_end.first().filter(|(until, _)| *until < now) {
            self.by_end.remove(&(until, digest));
            self.until.remove(&digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn once(number: usize, until: i64) -> Once {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        Once { digest, until: at(until) }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_has_counted_counts_never_again() {
        let spent = Spent::default();
        assert_eq!(spent.spend(once(1, 900), at(0)), Ok(()));
        assert_eq!(spent.spend(once(1, 900), at(900)), Err(NotSpent::Before), "to its last second");
        assert_eq!(spent.spend(once(2, 950), at(900)), Ok(()));
        assert!(spent.has(&once(1, 0).digest));
        assert_eq!(spent.spend(once(3, 1900), at(901)), Ok(()));
        assert!(!spent.has(&once(1, 0).digest), "forgotten when nobody believes it any more");
    }

    #[test]
    fn without_room_to_remember_nothing_counts() {
        let spent = Spent::default();
        for number in 0..MOST {
            assert_eq!(spent.spend(once(number, 900), at(0)), Ok(()));
        }
        assert_eq!(spent.spend(once(MOST, 900), at(0)), Err(NotSpent::Full));
        assert_eq!(spent.spend(once(MOST, 1900), at(901)), Ok(()), "and again when some have ended");
    }

    #[test]
    fn of_many_at_once_one_counts() {
        let spent = Spent::default();
        let counted = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(|| spent.spend(once(1, 900), at(0)).is_ok())).collect();
            all.into_iter().map(|one| one.join().unwrap()).filter(|counted| *counted).count()
        });
        assert_eq!(counted, 1);
    }
}
