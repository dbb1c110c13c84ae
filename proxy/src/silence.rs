//! A timer that is asked often and armed seldom.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// Remembers when something last moved and tells when nothing has for too long.
///
/// The deadline moves with every byte, the timer in the runtime's wheel does not: it fires at the oldest deadline, sees
/// that there is a newer one, and is armed again. A busy connection arms it once per time-out instead of once per read.
#[derive(Debug)]
pub(crate) struct Silence {
    last: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Silence {
    /// Begins now.
    pub(crate) fn new() -> Self {
        Self { last: Instant::now(), sleep: None }
    }

    /// When something last moved.
    pub(crate) const fn last(&self) -> Instant {
        self.last
    }

    /// Says that something moved.
    pub(crate) fn broken(&mut self) {
        self.last = Instant::now();
    }

    /// Ready once `deadline` has passed.
    pub(crate) fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}
