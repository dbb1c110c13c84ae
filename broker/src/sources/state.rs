//! How it stands with a source: whether it works, or since when and why not.

use std::sync::Arc;

use access::SourceName;
use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::{SignedDuration, Timestamp};

/// What could not be made ready is not tried again sooner, however many ask for it.
const TRY_AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// A source, and how it stands with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceState {
    /// Its name.
    pub name: SourceName,
    /// Its kind, as the config writes it.
    pub kind: &'static str,
    /// Whether it can answer.
    pub state: State,
}

/// Whether a source can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It was not needed yet.
    Idle,
    /// It can.
    Ready,
    /// It cannot; it refuses everybody, unless what it knew before still serves, and is tried again.
    Failed {
        /// Why.
        why: String,
        /// Since when.
        since: Timestamp,
    },
}

/// What the last attempts have shown.
#[derive(Debug, Default)]
pub(super) struct Health(ArcSwapOption<State>);

impl Health {
    pub(super) fn state(&self) -> State {
        self.0.load().as_deref().cloned().unwrap_or(State::Idle)
    }

    pub(super) fn well(&self) {
        self.0.store(Some(Arc::new(State::Ready)));
    }

    /// It failed again; since when, the first failure says.
    pub(super) fn ill(&self, why: &str, now: Timestamp) {
        let since = match self.state() {
            State::Failed { since, .. } => since,
            State::Idle | State::Ready => now,
        };
        self.0.store(Some(Arc::new(State::Failed { why: why.to_owned(), since })));
    }
}

/// Something that is made at the start, and later if that failed.
#[derive(Debug)]
pub(super) struct Made<T>(ArcSwap<Attempt<T>>);

#[derive(Debug)]
enum Attempt<T> {
    Ready(Arc<T>),
    Failed { why: String, since: Timestamp, tried: Timestamp },
}

impl<T> Made<T> {
    /// Makes it, or remembers why that was not possible.
    pub(super) fn new(made: Result<T, String>, now: Timestamp) -> Self {
        Self(ArcSwap::from_pointee(match made {
            Ok(thing) => Attempt::Ready(Arc::new(thing)),
            Err(why) => Attempt::Failed { why, since: now, tried: now },
        }))
    }

    /// The thing, tried again if it is time to; or why it is not there.
    pub(super) fn get(&self, make: impl FnOnce() -> Result<T, String>, now: Timestamp) -> Result<Arc<T>, String> {
        let attempt = self.0.load_full();
        let since = match &*attempt {
            Attempt::Ready(thing) => return Ok(thing.clone()),
            Attempt::Failed { why, tried, .. } if now.duration_since(*tried).abs() < TRY_AGAIN => {
                return Err(why.clone());
            }
            Attempt::Failed { since, .. } => *since,
        };
        match make() {
            Ok(thing) => {
                let thing = Arc::new(thing);
                self.0.store(Arc::new(Attempt::Ready(thing.clone())));
                Ok(thing)
            }
            Err(why) => {
                self.0.store(Arc::new(Attempt::Failed { why: why.clone(), since, tried: now }));
                Err(why)
            }
        }
    }

    /// How it stands: with the thing itself, where there is one.
    pub(super) fn state(&self, of: impl FnOnce(&T) -> State) -> State {
        match &**self.0.load() {
            Attempt::Ready(thing) => of(thing),
            Attempt::Failed { why, since, .. } => State::Failed { why: why.clone(), since: *since },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_failed_is_tried_again_but_not_at_once_and_keeps_its_first_failure() {
        let thing = Made::<u8>::new(Err("no file".to_owned()), at(0));
        assert_eq!(thing.get(|| Ok(1), at(9)), Err("no file".to_owned()), "not yet");
        assert_eq!(thing.get(|| Err("no certificate".to_owned()), at(10)), Err("no certificate".to_owned()));
        let state = thing.state(|_| State::Ready);
        assert_eq!(state, State::Failed { why: "no certificate".to_owned(), since: at(0) });
        assert_eq!(thing.get(|| Ok(1), at(19)), Err("no certificate".to_owned()));
        assert_eq!(thing.get(|| Ok(1), at(20)).as_deref(), Ok(&1));
        assert_eq!(thing.get(|| Err("never asked again".to_owned()), at(99)).as_deref(), Ok(&1));
        assert_eq!(thing.state(|_| State::Idle), State::Idle);
    }

    #[test]
    fn illness_counts_from_its_first_day_until_it_ends() {
        let health = Health::default();
        assert_eq!(health.state(), State::Idle);
        health.ill("503", at(1));
        health.ill("504", at(2));
        assert_eq!(health.state(), State::Failed { why: "504".to_owned(), since: at(1) });
        health.well();
        health.ill("503", at(3));
        assert_eq!(health.state(), State::Failed { why: "503".to_owned(), since: at(3) });
    }
}
