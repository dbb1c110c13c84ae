//! How far a cloud's clock is from ours, as the `Date` of its answers says (RFC 9110 §6.6.1).
//!
//! AWS refuses what was signed at the wrong time, and a machine whose clock goes wrong cannot sign at the right one. SDKs
//! correct themselves by the `Date` of the refusal; whoever signs in their place has to do the same.

use http::header::DATE;
use http::{HeaderMap, StatusCode};
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};

/// From here on a difference is corrected. Most services refuse five minutes, S3 fifteen; anything less is not worth
/// following, because an answer may have been on its way for a while.
const CORRECTED: SignedDuration = SignedDuration::from_mins(4);

/// What is believed. TLS does not work on a machine that is off by more, so such a `Date` is none.
const BELIEVED: SignedDuration = SignedDuration::from_hours(24);

/// Whether an answer may mean that the request was signed at the wrong time. The codes differ (`RequestTimeTooSkewed`,
/// `SignatureDoesNotMatch`, `InvalidSignatureException`, `RequestExpired`), and stand in the body; the statuses do not.
pub const fn may_be_about_time(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

/// How far whoever wrote these headers is ahead of `now` (negative: behind; zero: not worth a correction), if that is
/// another answer than the one that is `known`, and can be believed.
pub fn learn(known: SignedDuration, headers: &HeaderMap, now: Timestamp) -> Option<SignedDuration> {
    ahead(headers, now).filter(|ahead| (*ahead - known).abs() >= CORRECTED)
}

fn ahead(headers: &HeaderMap, now: Timestamp) -> Option<SignedDuration> {
    let mut dates = headers.get_all(DATE).iter();
    let (Some(date), None) = (dates.next(), dates.next()) else { return None };
    let date = DateTimeParser::new().parse_timestamp(date.as_bytes()).ok()?;
    let ahead = date.duration_since(now);
    if ahead.abs() > BELIEVED {
        return None;
    }
    Some(if ahead.abs() < CORRECTED { SignedDuration::ZERO } else { ahead })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(dates: &[&'static str]) -> Option<SignedDuration> {
        let mut headers = HeaderMap::new();
        for date in dates {
            headers.append(DATE, HeaderValue::from_static(date));
        }
        ahead(&headers, "2026-07-01T12:00:00Z".parse().unwrap())
    }

    #[test]
    fn differences_that_clouds_refuse_are_told_and_others_are_zero() {
        assert_eq!(read(&["Wed, 01 Jul 2026 12:20:00 GMT"]), Some(SignedDuration::from_mins(20)));
        assert_eq!(read(&["Wed, 01 Jul 2026 11:55:00 GMT"]), Some(SignedDuration::from_mins(-5)));
        assert_eq!(read(&["Wed, 01 Jul 2026 12:03:59 GMT"]), Some(SignedDuration::ZERO));
        assert_eq!(read(&["Thu, 02 Jul 2026 12:00:00 GMT"]), Some(SignedDuration::from_hours(24)));
    }

    #[test]
    fn what_is_known_is_not_learned_again() {
        let now = "2026-07-01T12:00:00Z".parse().unwrap();
        let headers = HeaderMap::from_iter([(DATE, HeaderValue::from_static("Wed, 01 Jul 2026 12:20:00 GMT"))]);
        let minutes = SignedDuration::from_mins;
        assert_eq!(learn(minutes(0), &headers, now), Some(minutes(20)));
        assert_eq!(learn(minutes(17), &headers, now), None, "an answer that was on its way for a while");
        assert_eq!(learn(minutes(-20), &headers, now), Some(minutes(20)));
    }

    #[test]
    fn what_cannot_be_believed_is_not_told() {
        for dates in [
            &[][..],
            &["yesterday"],
            &["Thu, 02 Jul 2026 12:00:01 GMT"],
            &["Wed, 01 Jul 2026 12:20:00 GMT", "Wed, 01 Jul 2026 12:20:00 GMT"],
        ] {
            assert_eq!(read(dates), None, "{dates:?}");
        }
    }
}
