//! How far the clocks of destinations are from ours, where one has refused a request and its `Date` told why.

use std::collections::HashMap;

use arc_swap::ArcSwap;
use cloud::aws::skew;
use http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};

use crate::places::destination::Destination;

/// Destinations remembered. If ours is the clock that goes wrong, all of them are here; beyond this they are learned
/// anew, at the price of a refusal each.
const MAX_KNOWN: usize = 256;

/// What was learned. It is empty on most machines, and read with every call, so reading takes no lock.
#[derive(Debug, Default)]
pub(crate) struct Skews(ArcSwap<HashMap<Destination, SignedDuration>>);

/// What time it is for a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// By our clock.
    pub(crate) ours: Timestamp,
    /// By the destination's, as far as we know.
    pub(crate) theirs: Timestamp,
}

impl Skews {
    /// The time at `origin` when it is `now` here.
    pub(crate) fn at(&self, origin: &Destination, now: Timestamp) -> Moment {
        let known = self.0.load();
        let ahead = if known.is_empty() { None } else { known.get(origin) };
        let theirs = ahead.and_then(|ahead| now.checked_add(*ahead).ok()).unwrap_or(now);
        Moment { ours: now, theirs }
    }

    /// Reads what an answer from `origin` to a signed request says about time.
    pub(crate) fn learn(&self, origin: &Destination, (status, headers): (StatusCode, &HeaderMap), now: Timestamp) {
        if !skew::may_be_about_time(status) {
            return;
        }
        let known = self.0.load().get(origin).copied().unwrap_or_default();
        let Some(ahead) = skew::learn(known, headers, now) else { return };
        tracing::warn!(destination = %origin, ahead = format!("{ahead:#}"), "the destination's clock is not ours; calls are signed by its time");
        self.0.rcu(|known| {
            let mut known = HashMap::clone(known);
            if ahead.is_zero() {
                known.remove(origin);
            } else {
                if known.len() >= MAX_KNOWN {
                    known.clear();
                }
                known.insert(origin.clone(), ahead);
            }
            known
        });
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::DATE;

    use super::*;

    const NOON: &str = "2026-07-01T12:00:00Z";

    fn noon() -> Timestamp {
        NOON.parse().unwrap()
    }

    fn refused(date: &'static str) -> (StatusCode, HeaderMap) {
        (StatusCode::FORBIDDEN, HeaderMap::from_iter([(DATE, HeaderValue::from_static(date))]))
    }

    #[test]
    fn offset_is_learned_per_destination_and_forgotten_when_the_clock_is_right_again() {
        let (s3, sqs) = (Destination::connect("s3.test:443").unwrap(), Destination::connect("sqs.test:443").unwrap());
        let skews = Skews::default();
        let (status, headers) = refused("Wed, 01 Jul 2026 12:20:00 GMT");
        skews.learn(&s3, (StatusCode::OK, &headers), noon());
        assert_eq!(skews.at(&s3, noon()).theirs, noon(), "only refusals are about time");
        skews.learn(&s3, (status, &headers), noon());
        assert_eq!(skews.at(&s3, noon()).theirs, noon() + SignedDuration::from_mins(20));
        assert_eq!(skews.at(&s3, noon()).ours, noon());
        assert_eq!(skews.at(&sqs, noon()).theirs, noon());
        let (status, headers) = refused("Wed, 01 Jul 2026 12:00:03 GMT");
        skews.learn(&s3, (status, &headers), noon());
        assert_eq!(skews.at(&s3, noon()).theirs, noon());
    }

    #[test]
    fn number_of_destinations_is_bounded() {
        let skews = Skews::default();
        let (status, headers) = refused("Wed, 01 Jul 2026 12:20:00 GMT");
        for n in 0..=MAX_KNOWN {
            skews.learn(&Destination::connect(&format!("h{n}.test:443")).unwrap(), (status, &headers), noon());
        }
        assert_eq!(skews.0.load().len(), 1);
    }
}
