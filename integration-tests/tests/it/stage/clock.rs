//! One clock for a whole world: it stands still until a test turns it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// The time of a world. Clones turn together.
#[derive(Debug, Clone)]
pub(crate) struct Clock(Arc<AtomicI64>);

impl Clock {
    /// Begins at the machine's time, in whole seconds: libraries that verify certificates read that one.
    #[expect(clippy::disallowed_methods, reason = "where the product's time begins is the stage's to say")]
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(Timestamp::now().as_second())))
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).expect("a time that was one before")
    }

    /// Turns it forward, or back.
    pub(crate) fn turn(&self, by: SignedDuration) {
        self.0.fetch_add(by.as_secs(), Ordering::SeqCst);
    }

    /// Turns it to a moment.
    pub(crate) fn set(&self, to: Timestamp) {
        self.0.store(to.as_second(), Ordering::SeqCst);
    }

    /// The same clock, as the product takes it.
    pub(crate) fn for_product(&self) -> access::Clock {
        let clock = self.clone();
        access::Clock::new(move || clock.now())
    }
}
