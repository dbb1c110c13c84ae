//! Stopping, as one value that everyone holds.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Handed to everything that runs. Work that must end before the process does is spawned through it.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    stop: CancellationToken,
    cut: CancellationToken,
    work: TaskTracker,
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// All work had finished.
    Whole,
    /// The grace was over; this many tasks were cut.
    Cut(usize),
}

impl Shutdown {
    /// A shutdown that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that it is time to stop. Saying it twice changes nothing.
    pub fn begin(&self) {
        self.stop.cancel();
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Waits until it begins.
    pub async fn begun(&self) {
        self.stop.cancelled().await;
    }

    /// Runs `work` until it ends by itself, or is cut when the grace is over.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let cut = self.cut.clone();
        // Waiting for either would keep room for the work twice.
        let work = Box::pin(work);
        self.work.spawn(async move {
            tokio::select! {
                () = work => {}
                () = cut.cancelled() => {}
            }
        });
    }

    /// Begins, waits for all spawned work, and cuts what is left after `grace`.
    pub async fn drain(&self, grace: Duration) -> Drained {
        self.begin();
        self.work.close();
        if tokio::time::timeout(grace, self.work.wait()).await.is_ok() {
            return Drained::Whole;
        }
        let left = self.work.len();
        self.cut.cancel();
        self.work.wait().await;
        Drained::Cut(left)
    }
}

/// SIGTERM and SIGINT: stop.
#[derive(Debug)]
pub struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Stops {
    /// Hears of every one from now on; without this, one would end the process.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Begins the shutdown at the first; the second ends the process at once.
    pub async fn begin(mut self, shutdown: Shutdown) {
        /// What a shell reports for a process that SIGTERM ended (128 + 15).
        const CUT_BY_SIGNAL: i32 = 143;
        self.next().await;
        tracing::info!("stopping; a second signal stops at once");
        shutdown.begin();
        self.next().await;
        std::process::exit(CUT_BY_SIGNAL)
    }

    async fn next(&mut self) {
        let heard = tokio::select! {
            heard = self.terminate.recv() => heard,
            heard = self.interrupt.recv() => heard,
        };
        if heard.is_none() {
            std::future::pending().await
        }
    }
}

/// SIGHUP: read your settings again.
#[derive(Debug)]
pub struct Hangups(Signal);

impl Hangups {
    /// Hears of every one from now on; without this, one would end the process.
    pub fn new() -> std::io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Waits for the next.
    pub async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_ends_within_the_grace_is_not_cut() {
        let shutdown = Shutdown::new();
        let seen = shutdown.clone();
        shutdown.spawn(async move { seen.begun().await });
        assert_eq!(shutdown.drain(Duration::from_secs(60)).await, Drained::Whole);
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_never_ends_is_cut_after_the_grace() {
        let shutdown = Shutdown::new();
        shutdown.spawn(std::future::pending());
        assert_eq!(shutdown.drain(Duration::from_secs(5)).await, Drained::Cut(1));
    }
}
