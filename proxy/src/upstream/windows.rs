//! How far answers may run ahead of their programs over HTTP/2, so that what programs do not read has a bound.
//!
//! Every stream has a window of its own. A connection has one for all of them (RFC 9113 §5.2), which is as large as those
//! of its streams together, or a few programs that do not read would stop the answers of all others on it. Beyond the
//! first few streams that comes out of what all connections share; where that is used up, others get another connection.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of one answer: a stream of 50 MB/s over 20 ms.
pub(super) const STREAM_WINDOW: u32 = 1024 * 1024;

/// Windows that every connection has.
const FIRST: usize = 4;

/// Windows that all connections share beyond those.
const SHARED: usize = 64;

/// What all connections share.
#[derive(Debug, Clone)]
pub(crate) struct Shared(Arc<Semaphore>);

/// Those of one connection. They are given back when it ends: what was granted to a destination is not taken back.
#[derive(Debug)]
pub(super) struct Windows {
    shared: Shared,
    taken: Option<OwnedSemaphorePermit>,
}

impl Default for Shared {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(SHARED)))
    }
}

impl Windows {
    pub(super) const fn of(shared: Shared) -> Self {
        Self { shared, taken: None }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        FIRST + self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// The same in bytes.
    pub(super) fn bytes(&self) -> u32 {
        u32::try_from(self.count()).unwrap_or(u32::MAX).saturating_mul(STREAM_WINDOW)
    }

    /// Takes as many as there are streams, or as there are left. Whether it has changed anything.
    pub(super) fn grow(&mut self, streams: usize) -> bool {
        let before = self.count();
        while self.count() < streams {
            let Ok(more) = self.shared.0.clone().try_acquire_owned() else { break };
            match &mut self.taken {
                Some(taken) => taken.merge(more),
                None => self.taken = Some(more),
            }
        }
        self.count() > before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_share_what_is_more_than_a_few_windows_and_give_it_back_when_they_end() {
        let shared = Shared::default();
        let (mut one, mut other) = (Windows::of(shared.clone()), Windows::of(shared));
        assert!(!one.grow(FIRST));
        assert!(one.grow(50) && one.count() == 50 && one.bytes() == 50 * STREAM_WINDOW);
        assert!(!one.grow(3) && one.count() == 50, "what was granted stays");
        assert!(other.grow(100));
        assert_eq!(one.count() + other.count(), 2 * FIRST + SHARED);
        drop(one);
        assert!(other.grow(100) && other.count() == FIRST + SHARED);
    }
}
