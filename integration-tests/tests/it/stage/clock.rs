//! One clock for a whole world: it stands still until a test turns it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// The time of a world. Clones turn together.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    seconds: Arc<AtomicI64>,
    ahead: SignedDuration,
}

impl Clock {
    /// Begins at the machine's time, in whole seconds: libraries that verify certificates read that one.
    #[expect(clippy::disallowed_methods, reason = "where the product's time begins is the stage's to say")]
    pub(crate) fn new() -> Self {
        let seconds = Arc::new(AtomicI64::new(Timestamp::now().as_second()));
        Self { seconds, ahead: SignedDuration::ZERO }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let seconds = self.seconds.load(Ordering::SeqCst) + self.ahead.as_secs();
        Timestamp::from_second(seconds).expect("a time that was one before")
    }

    /// Turns it forward, or back.
    pub(crate) fn turn(&self, by: SignedDuration) {
        self.seconds.fetch_add(by.as_secs(), Ordering::SeqCst);
    }

    /// A clock that turns with this one, and goes wrong by so much.
    pub(crate) fn off_by(&self, ahead: SignedDuration) -> Self {
        Self { ahead: self.ahead + ahead, ..self.clone() }
    }

    /// Turns it to a moment.
    pub(crate) fn set(&self, to: Timestamp) {
        self.seconds.store((to - self.ahead).as_second(), Ordering::SeqCst);
    }

    /// The same clock, as the product takes it.
    pub(crate) fn for_product(&self) -> access::Clock {
        let clock = self.clone();
        access::Clock::new(move || clock.now())
    }
}
