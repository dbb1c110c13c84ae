//! A timer that is asked often and armed seldom.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Tells when somebody has been waited for in vain for too long.
///
/// It begins when somebody waits, not when something last moved: a side that was not asked for a while was not silent.
/// The deadline moves with every byte, the timer in the runtime's wheel does not: it fires at the oldest deadline, sees
/// that there is a newer one, and is armed again. A busy connection arms it once per time-out instead of once per read.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    since: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Silence {
    /// Says that something moved, or that nobody waits.
    pub(crate) const fn broken(&mut self) {
        self.since = None;
    }

    /// Ready once the silence, which begins now if it has not begun, is as long as `length`.
    pub(crate) fn poll_for(&mut self, cx: &mut Context<'_>, length: Duration) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        self.poll_until(cx, since + length)
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const LENGTH: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn silence_that_is_broken_begins_anew() {
        let mut silence = Silence::default();
        let began = Instant::now();
        let waited = tokio::time::timeout(Duration::from_secs(9), poll_fn(|cx| silence.poll_for(cx, LENGTH))).await;
        assert!(waited.is_err());
        silence.broken();
        poll_fn(|cx| silence.poll_for(cx, LENGTH)).await;
        assert_eq!(began.elapsed(), Duration::from_secs(19));
    }
}
