//! When a signing key is made, signs, and is destroyed: a function of the clock and of the keys that are there.

use jiff::{SignedDuration, Timestamp};

use super::TOKEN_LIFETIME;

/// How long a key stays published after it signed for the last time. A token lives for five minutes; the rest is for
/// clocks that differ and for verifiers that come back to a token late.
const KEEP: SignedDuration = SignedDuration::from_hours(1);
/// Below this, keys would come and go faster than [`KEEP`] lets them go, and the JWKS would grow.
const MIN_LIFETIME: SignedDuration = SignedDuration::from_hours(1);
/// Most keys in the JWKS: some verifiers refuse more (Oracle's API gateway), AWS fails at about a hundred.
pub(super) const MAX_PUBLISHED: usize = 10;
/// The keys' owner looks again after this at the latest: the clock may have been set, and a second process on the same
/// store may have been quicker.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// Lifetimes that cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Keys that live too short.
    #[error("`key_lifetime` is {0:#}; it must be {MIN_LIFETIME:#} or more")]
    Short(SignedDuration),
    /// Keys that would have to be published before their predecessor is.
    #[error("`key_publish_ahead` is {ahead:#}; it must not be negative, nor longer than `key_lifetime` ({lifetime:#})")]
    Ahead {
        /// How long ahead.
        ahead: SignedDuration,
        /// How long a key signs.
        lifetime: SignedDuration,
    },
}

/// How long keys sign, and how long before that they are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    lifetime: SignedDuration,
    ahead: SignedDuration,
}

/// The two times of a key from which all others follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    /// When it was made, and published.
    pub(super) created: Timestamp,
    /// When it starts to sign.
    pub(super) activates: Timestamp,
}

impl Plan {
    /// Takes how long a key signs and how long before its first use it is published.
    pub(super) fn new(lifetime: SignedDuration, ahead: SignedDuration) -> Result<Self, PlanError> {
        if lifetime < MIN_LIFETIME {
            return Err(PlanError::Short(lifetime));
        }
        if ahead.is_negative() || ahead > lifetime {
            return Err(PlanError::Ahead { ahead, lifetime });
        }
        Ok(Self { lifetime, ahead })
    }

    /// The key to make at `now`, if one is due. `keys` stand in the order of their activation.
    pub(super) fn due(&self, keys: &[Times], now: Timestamp) -> Option<Times> {
        let Some(last) = keys.last() else { return Some(Times { created: now, activates: now }) };
        if now < self.successor_due(*last) {
            return None;
        }
        // Late (nobody ran), it is still published for as long as clouds need to learn of it; until then the last one
        // goes on signing.
        let planned = after(last.activates, self.lifetime);
        Some(Times { created: now, activates: planned.max(after(now, self.ahead)) })
    }

    /// Whether the key at `index` is published at `now`.
    pub(super) fn publishes(&self, keys: &[Times], index: usize, now: Timestamp) -> bool {
        self.destroyed(keys, index).is_none_or(|at| now < at)
    }

    /// When the key at `index` is destroyed: some time after its successor took over.
    fn destroyed(&self, keys: &[Times], index: usize) -> Option<Timestamp> {
        keys.get(index + 1).map(|successor| after(successor.activates, KEEP))
    }

    /// The key that signs at `now`: the last that is active, or else the first. All of them are published, so nothing is
    /// won by waiting for the first one's hour, which a clock that went ahead at the first start may have put far off.
    pub(super) fn signing(keys: &[Times], now: Timestamp) -> Option<usize> {
        let active = keys.iter().rposition(|key| key.activates <= now);
        active.or_else(|| (!keys.is_empty()).then_some(0))
    }

    /// When the next thing happens after `now`, at the latest an hour later.
    pub(super) fn next(&self, keys: &[Times], now: Timestamp) -> Timestamp {
        let made = keys.last().map(|last| self.successor_due(*last));
        let activated = keys.iter().map(|key| key.activates);
        let destroyed = (0..keys.len()).filter_map(|index| self.destroyed(keys, index));
        let coming = made.into_iter().chain(activated).chain(destroyed).filter(|&at| at > now);
        coming.fold(after(now, LOOK_AGAIN), Timestamp::min)
    }

    fn successor_due(&self, last: Times) -> Timestamp {
        after(last.activates, self.lifetime.saturating_sub(self.ahead))
    }
}

fn after(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}

const _: () = assert!(KEEP.as_secs() > TOKEN_LIFETIME.as_secs(), "a key must outlive what it signed");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn hour(hour: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour)
    }

    fn plan() -> Plan {
        Plan::new(DAY * 30, DAY).unwrap()
    }

    #[test]
    fn the_first_key_signs_at_once_and_its_successor_is_published_a_day_ahead() {
        let first = plan().due(&[], hour(0)).unwrap();
        assert_eq!(first, Times { created: hour(0), activates: hour(0) });

        assert_eq!(plan().due(&[first], hour(29 * 24 - 1)), None);
        let second = plan().due(&[first], hour(29 * 24)).unwrap();
        assert_eq!(second, Times { created: hour(29 * 24), activates: hour(30 * 24) });

        let keys = [first, second];
        assert_eq!(Plan::signing(&keys, hour(30 * 24) - SignedDuration::from_nanos(1)), Some(0));
        assert_eq!(Plan::signing(&keys, hour(30 * 24)), Some(1));
        assert!(plan().publishes(&keys, 0, hour(30 * 24 + 1) - SignedDuration::from_nanos(1)));
        assert!(!plan().publishes(&keys, 0, hour(30 * 24 + 1)));
    }

    #[test]
    fn after_a_long_sleep_the_old_key_signs_until_clouds_know_the_new_one() {
        let first = plan().due(&[], hour(0)).unwrap();
        let late = hour(90 * 24);
        let second = plan().due(&[first], late).unwrap();
        assert_eq!(second.activates, late + DAY);
        assert_eq!(Plan::signing(&[first, second], late), Some(0));
    }

    #[test]
    fn clock_that_went_ahead_at_the_first_start_does_not_keep_the_first_key_from_signing() {
        let ahead = plan().due(&[], hour(1000)).unwrap();
        assert_eq!(Plan::signing(&[ahead], hour(0)), Some(0));
        assert!(plan().publishes(&[ahead], 0, hour(0)));
        assert_eq!(Plan::signing(&[], hour(0)), None);
    }

    #[test]
    fn lifetimes_that_cannot_be_kept_are_refused() {
        assert!(matches!(Plan::new(SignedDuration::from_mins(59), SignedDuration::ZERO), Err(PlanError::Short(_))));
        assert!(matches!(Plan::new(DAY, DAY * 2), Err(PlanError::Ahead { .. })));
        assert!(matches!(Plan::new(DAY, -DAY), Err(PlanError::Ahead { .. })));
        assert!(Plan::new(DAY, DAY).is_ok());
    }

    #[test]
    fn the_owner_is_told_when_to_come_back() {
        let first = Times { created: hour(0), activates: hour(0) };
        assert_eq!(plan().next(&[first], hour(0)), hour(1), "to look again");
        let soon = hour(29 * 24) - SignedDuration::from_mins(10);
        assert_eq!(plan().next(&[first], soon), hour(29 * 24), "to make the next");
    }

    proptest! {
        /// Owners that come at any times, with any plan, for a year.
        #[test]
        fn whoever_verifies_meets_only_keys_that_are_published_and_known(
            lifetime in 1i64..24 * 60, ahead in 0i64..24 * 60, steps in prop::collection::vec(1i64..24 * 20, 1..60),
        ) {
            let (lifetime, ahead) = (SignedDuration::from_hours(lifetime), SignedDuration::from_hours(ahead.min(lifetime)));
            let plan = Plan::new(lifetime, ahead).unwrap();
            let (mut keys, mut now) = (Vec::<Times>::new(), hour(0));
            for step in steps {
                keys.extend(plan.due(&keys, now));
                let signing = Plan::signing(&keys, now).expect("some key always signs");
                prop_assert!(plan.publishes(&keys, signing, now));
                prop_assert!(signing == 0 || keys[signing].activates.duration_since(keys[signing].created) >= ahead);
                // What was signed in the last instant of the one before still verifies.
                if signing > 0 && now < keys[signing].activates + TOKEN_LIFETIME {
                    prop_assert!(plan.publishes(&keys, signing - 1, now));
                }
                let published = (0..keys.len()).filter(|&i| plan.publishes(&keys, i, now)).count();
                prop_assert!(published <= MAX_PUBLISHED, "{published} at {now}");
                prop_assert!(plan.next(&keys, now) > now);
                now += SignedDuration::from_hours(step);
            }
        }
    }
}
