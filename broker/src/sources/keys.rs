//! The keys of one issuer: remembered, asked for again in time, and never too often.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, Url};
use tokio::sync::{Mutex, MutexGuard};

use super::discovery::{self, DiscoveryError};
use super::keyset::{KeySet, Usage, VerifyingKey};
use super::shown;
use super::state::{Health, State};
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
    health: Health,
}

/// Where keys come from.
#[derive(Debug)]
pub(super) enum Origin {
    /// They are here, and never change.
    Pinned(KeySet),
    /// The issuer's discovery document names the place.
    Discovered(Client),
    /// A SPIFFE bundle endpoint.
    Bundle(Client, Url),
    /// A file with a SPIFFE bundle.
    BundleFile(PathBuf),
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
    /// Takes the issuer's name, and where its keys come from.
    pub(super) fn new(issuer: &str, origin: Origin) -> Self {
        Self {
            issuer: issuer.to_owned(),
            origin,
            known: ArcSwapOption::empty(),
            asked: Mutex::new(None),
            health: Health::default(),
        }
    }

    /// How it stands with them.
    pub(super) fn state(&self) -> State {
        match &self.origin {
            Origin::Pinned(_) => State::Ready,
            Origin::Discovered(_) | Origin::Bundle(..) | Origin::BundleFile(_) => self.health.state(),
        }
    }

    /// Asks the issuer once, if it was never asked or did not answer: nobody waits for a key now.
    pub(super) async fn look(&self, now: Timestamp) {
        if !matches!(self.origin, Origin::Pinned(_)) && self.state() != State::Ready {
            let turn = self.asked.lock().await;
            self.ask(turn, now).await;
        }
    }

    /// The key with that id at `now`, or all keys where none is named.
    pub(super) async fn find(&self, kid: Option<&str>, now: Timestamp) -> Result<Vec<Arc<VerifyingKey>>, KeyError> {
        if let Origin::Pinned(keys) = &self.origin {
            return some(keys.find(kid)).ok_or_else(|| self.unknown(kid));
        }
        if let Some(found) = self.younger_than(FRESH, kid, now) {
            return Ok(found);
        }
        if let Some(old) = self.younger_than(STALE, kid, now) {
            // Somebody else is asking: the old key serves meanwhile.
            let Ok(turn) = self.asked.try_lock() else { return Ok(old) };
            self.ask(turn, now).await;
            return self.younger_than(STALE, kid, now).ok_or_else(|| self.unknown(kid));
        }
        let turn = self.asked.lock().await;
        if let Some(found) = self.younger_than(FRESH, kid, now) {
            return Ok(found);
        }
        let failed = self.ask(turn, now).await;
        self.younger_than(STALE, kid, now).ok_or_else(|| match failed {
            Some(why) => KeyError::Unavailable { issuer: self.issuer.clone(), why },
            None => self.unknown(kid),
        })
    }

    /// Keys that were fetched in the future, by a clock that has been set back since, are as old as they are young.
    fn younger_than(&self, age: SignedDuration, kid: Option<&str>, now: Timestamp) -> Option<Vec<Arc<VerifyingKey>>> {
        let known = self.known.load();
        some(known.as_ref().filter(|known| now.duration_since(known.at).abs() < age)?.keys.find(kid))
    }

    /// Asks the issuer, unless it was asked a moment ago. Says what went wrong, now or then.
    async fn ask(&self, mut turn: Turn<'_>, now: Timestamp) -> Option<String> {
        if let Some(asked) = turn.as_ref().filter(|asked| now.duration_since(asked.at).abs() < ASK_AGAIN) {
            return asked.failed.clone();
        }
        // Counted before the answer: whoever drops this future has still asked.
        *turn = Some(Asked { at: now, failed: Some("the last attempt was given up".to_owned()) });
        let failed = match self.origin.keys(&self.issuer).await {
            Ok(keys) => {
                self.health.well();
                self.known.store(Some(Arc::new(Known { keys, at: now })));
                None
            }
            Err(error) => {
                let why = in_words(&error);
                self.health.ill(&why, now);
                tracing::warn!(issuer = %self.issuer, %why, "the keys of an issuer cannot be fetched");
                Some(why)
            }
        };
        *turn = Some(Asked { at: now, failed: failed.clone() });
        failed
    }

    fn unknown(&self, kid: Option<&str>) -> KeyError {
        KeyError::Unknown { issuer: self.issuer.clone(), kid: kid.map_or_else(String::new, shown) }
    }
}

impl Origin {
    async fn keys(&self, issuer: &str) -> Result<KeySet, DiscoveryError> {
        match self {
            Self::Pinned(keys) => Ok(keys.clone()),
            Self::Discovered(client) => discovery::keys(client, issuer).await,
            Self::Bundle(client, url) => discovery::jwks(client, url.as_str(), Usage::JwtSvids).await,
            Self::BundleFile(path) => discovery::file(path, Usage::JwtSvids).await,
        }
    }
}

/// The keys, if there are any.
fn some(keys: Vec<Arc<VerifyingKey>>) -> Option<Vec<Arc<VerifyingKey>>> {
    Some(keys).filter(|keys| !keys.is_empty())
}
