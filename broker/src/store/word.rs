//! Word that something was taken back: who waits for it looks at once, and does not wait for the next time that it looks.
//!
//! It is a hint and nothing more. What was taken back stands in a table, and whoever misses the word finds it there.

use tokio::sync::watch;

/// The channel between brokers on PostgreSQL.
pub(super) const CHANNEL: &str = "countersign_recalls";

/// Passes the word on within this process. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Word(watch::Sender<()>);

/// Somebody who waits for the word.
#[derive(Debug)]
pub(crate) struct Waiting(watch::Receiver<()>);

impl Default for Word {
    fn default() -> Self {
        Self(watch::Sender::new(()))
    }
}

impl Word {
    /// Passes it on.
    pub(crate) fn pass(&self) {
        self.0.send_replace(());
    }

    /// Waits from now on.
    pub(crate) fn waiting(&self) -> Waiting {
        Waiting(self.0.subscribe())
    }
}

impl Waiting {
    /// The next word since the last one that was heard.
    pub(crate) async fn next(&mut self) {
        // Its sender goes with the store, and nobody waits any more then.
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
