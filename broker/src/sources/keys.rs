//! The keys of one issuer: remembered, asked for again in time, and never too often.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::{SignedDuration, Timestamp};
use reqwest::Client;
use tokio::sync::{Mutex, MutexGuard};

use super::discovery;
use super::keyset::{KeySet, VerifyingKey};
use super::shown;
use crate::outbound::in_words;

/// After this, the issuer is asked again at the next use, so that a key that it withdrew goes out of use.
const FRESH: SignedDuration = SignedDuration::from_mins(10);
/// How long keys serve while the issuer does not answer. A cluster keeps its keys for weeks; a day bridges an outage
/// and bounds how long a withdrawn key may last.
const STALE: SignedDuration = SignedDuration::from_hours(24);
/// The issuer is not asked more often, whatever key ids strangers make up, and however many ask while it is down.
const ASK_AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// No key to verify with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyError {
    /// The issuer has no such key.
    #[error("{issuer} has no key {kid}")]
    Unknown {
        /// The issuer.
        issuer: String,
        /// The key id, as shown to people.
        kid: String,
    },
    /// The issuer cannot be asked.
    #[error("the keys of {issuer} cannot be fetched: {why}")]
    Unavailable {
        /// The issuer.
        issuer: String,
        /// What happened.
        why: String,
    },
}

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct IssuerKeys {
    issuer: String,
    origin: Origin,
    known: ArcSwapOption<Known>,
    asked: Mutex<Option<Asked>>,
}

#[derive(Debug)]
enum Origin {
    Pinned(KeySet),
    Discovered(Client),
}

/// Keys, and when they were fetched.
#[derive(Debug)]
struct Known {
    keys: KeySet,
    at: Timestamp,
}

/// The last time the issuer was asked, and what went wrong then.
#[derive(Debug)]
struct Asked {
    at: Timestamp,
    failed: Option<String>,
}

/// Whoever holds it asks for all: one flight.
type Turn<'a> = MutexGuard<'a, Option<Asked>>;

impl IssuerKeys {
    /// Takes keys that never change.
    pub(super) fn pinned(issuer: &str, keys: KeySet) -> Self {
        Self::new(issuer, Origin::Pinned(keys))
    }

    /// Takes what asks for them.
    pub(super) fn discovered(issuer: &str, client: Client) -> Self {
        Self::new(issuer, Origin::Discovered(client))
    }

    fn new(issuer: &str, origin: Origin) -> Self {
        Self { issuer: issuer.to_owned(), origin, known: ArcSwapOption::empty(), asked: Mutex::new(None) }
    }

    /// Whose they are.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The key with that id, at `now`.
    pub(super) async fn key(&self, kid: &str, now: Timestamp) -> Result<Arc<VerifyingKey>, KeyError> {
        let client = match &self.origin {
            Origin::Pinned(keys) => return keys.get(kid).ok_or_else(|| self.unknown(kid)),
            Origin::Discovered(client) => client,
        };
        if let Some(key) = self.younger_than(FRESH, kid, now) {
            return Ok(key);
        }
        if let Some(old) = self.younger_than(STALE, kid, now) {
            // Somebody else is asking: the old key serves meanwhile.
            let Ok(turn) = self.asked.try_lock() else { return Ok(old) };
            self.ask(turn, client, now).await;
            return self.younger_than(STALE, kid, now).ok_or_else(|| self.unknown(kid));
        }
        let turn = self.asked.lock().await;
        if let Some(key) = self.younger_than(FRESH, kid, now) {
            return Ok(key);
        }
        let failed = self.ask(turn, client, now).await;
        self.younger_than(STALE, kid, now).ok_or_else(|| match failed {
            Some(why) => KeyError::Unavailable { issuer: self.issuer.clone(), why },
            None => self.unknown(kid),
        })
    }

    /// Keys that were fetched in the future, by a clock that has been set back since, are as old as they are young.
    fn younger_than(&self, age: SignedDuration, kid: &str, now: Timestamp) -> Option<Arc<VerifyingKey>> {
        let known = self.known.load();
        known.as_ref().filter(|known| now.duration_since(known.at).abs() < age)?.keys.get(kid)
    }

    /// Asks the issuer, unless it was asked a moment ago. Says what went wrong, now or then.
    async fn ask(&self, mut turn: Turn<'_>, client: &Client, now: Timestamp) -> Option<String> {
        if let Some(asked) = turn.as_ref().filter(|asked| now.duration_since(asked.at).abs() < ASK_AGAIN) {
            return asked.failed.clone();
        }
        // Counted before the answer: whoever drops this future has still asked.
        *turn = Some(Asked { at: now, failed: Some("the last attempt was given up".to_owned()) });
        let failed = match discovery::keys(client, &self.issuer).await {
            Ok(keys) => {
                self.known.store(Some(Arc::new(Known { keys, at: now })));
                None
            }
            Err(error) => {
                let why = in_words(&error);
                tracing::warn!(issuer = %self.issuer, %why, "the keys of an issuer cannot be fetched");
                Some(why)
            }
        };
        *turn = Some(Asked { at: now, failed: failed.clone() });
        failed
    }

    fn unknown(&self, kid: &str) -> KeyError {
        KeyError::Unknown { issuer: self.issuer.clone(), kid: shown(kid) }
    }
}
