//! What the broker does by itself: it rotates its signing keys, listens to other brokers, and keeps an eye on its sources.

use std::time::Duration;

use jiff::Timestamp;

use super::Broker;
use crate::outbound::in_words;
use crate::sources::SourceState;
use crate::tokens::KeysError;

/// When the signing keys could not be tended, it is tried again after this.
const TEND_AGAIN: Duration = Duration::from_secs(60);
/// Sources that do not work are tried again after this, though nobody needs them now.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

impl Broker {
    /// Makes, activates and destroys the signing keys whose time has come; tells when there is something to do again,
    /// an hour later at the latest. [`Broker::open`] does it too.
    pub async fn rotate_keys(&self) -> Result<Timestamp, KeysError> {
        self.tokens.rotate().await
    }

    /// Rotates the signing keys whenever their time comes. It never ends: whoever spawns it drops it.
    pub async fn tend(&self) {
        loop {
            let wait = match self.rotate_keys().await {
                Ok(next) => Duration::try_from(next.duration_since(self.clock.now())).unwrap_or_default(),
                Err(error) => {
                    tracing::error!(error = in_words(&error), "the signing keys cannot be rotated");
                    TEND_AGAIN
                }
            };
            // Not less than a second: a clock that is set back and forth must not make this spin.
            tokio::time::sleep(wait.max(Duration::from_secs(1))).await;
        }
    }

    /// Hears of what other brokers take back, so that who follows this one hears of it at once. It never ends: whoever
    /// spawns it drops it.
    pub async fn listen(&self) {
        self.store.listen().await;
    }

    /// How it stands with every source.
    pub fn sources(&self) -> Vec<SourceState> {
        self.intent.load().sources.states()
    }

    /// Tries every source once, and those that do not work again and again, so that it is known before somebody needs
    /// them. It never ends: whoever spawns it drops it.
    pub async fn watch_sources(&self) {
        loop {
            let sources = self.intent.load().sources.clone();
            sources.look(self.clock.now()).await;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}
