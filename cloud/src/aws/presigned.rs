//! A signature in the query: presigned URLs, and the handshakes of WebSockets.
//!
//! The rule is AWS's ("Authenticating requests: using query parameters"): what S3 refuses is refused here. The names are
//! matched in their one spelling; another letter case is how two readers come to see two signatures.

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderMap;
use http::request::Parts;
use jiff::{SignedDuration, Timestamp};

use super::algorithm::Algorithm;
use super::authorization::{Authorization, BadAuthorization, Credential, SignedHeaders, parse_signature};
use super::date::AmzDate;
use super::form::Form;
use super::key::SigningKey;
use super::payload::{Payload, PayloadError};
use super::query::{Query, decode};
use super::uri::PathRule;
use super::verify::{Check, MAX_SKEW, VerifyError, compare};

pub(super) const ALGORITHM: &str = "X-Amz-Algorithm";
pub(super) const CREDENTIAL: &str = "X-Amz-Credential";
pub(super) const DATE: &str = "X-Amz-Date";
pub(super) const EXPIRES: &str = "X-Amz-Expires";
pub(super) const SIGNED_HEADERS: &str = "X-Amz-SignedHeaders";
pub(super) const TOKEN: &str = "X-Amz-Security-Token";
pub(super) const SIGNATURE: &str = "X-Amz-Signature";
/// The regions of SigV4A.
pub(super) const REGION_SET: &str = "X-Amz-Region-Set";

/// What authenticates, each at most once.
const NAMES: [&str; 8] = [ALGORITHM, CREDENTIAL, DATE, EXPIRES, SIGNED_HEADERS, TOKEN, SIGNATURE, REGION_SET];

/// A week: S3 takes nothing longer, and no signing key lives longer.
pub(super) const MAX_EXPIRES: u32 = 604_800;

/// The parameters that sign a URL, decoded; the form of each was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presigned<'a> {
    algorithm: Algorithm,
    credential: Cow<'a, str>,
    signed_headers: Cow<'a, str>,
    signature: Cow<'a, str>,
    lifetime: Lifetime,
    has_token: bool,
}

/// From when and for how long a presigned URL is good, as its program asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    pub(super) from: AmzDate,
    /// In seconds. Services other than S3 also take URLs that do not say it.
    pub(super) expires: Option<u32>,
}

/// How much of that is left, in seconds, as its head is read; `None` where nothing is said. What is asked for is counted
/// by the clock by which its program signs, which need not be the cloud's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left(pub(super) Option<u32>);

/// Why a query that looks signed is not a presigned one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPresigned {
    /// Readers differ on which of two counts, and on whether letter case does.
    #[error("the presigned query has `{0}` more than once or in another letter case")]
    Repeated(&'static str),
    /// A parameter that is not there.
    #[error("the presigned query lacks {0}")]
    Missing(&'static str),
    /// None of AWS's.
    #[error("the X-Amz-Algorithm of the presigned query is none of the algorithms of AWS")]
    Algorithm,
    /// Not a second in ISO 8601 basic format.
    #[error("the X-Amz-Date of the presigned query is not like 20150830T123600Z")]
    Date,
    /// Not a number of seconds, or too many.
    #[error("the X-Amz-Expires of the presigned query is not between 1 and {MAX_EXPIRES} seconds")]
    Expires,
    /// Credential, signed headers or signature.
    #[error("the presigned query cannot be read: {0}")]
    Part(#[from] BadAuthorization),
}

impl<'a> Presigned<'a> {
    /// Reads the query of a URL that is signed.
    pub(super) fn read(query: Query<'a>) -> Result<Self, BadPresigned> {
        let mut values: [Option<Cow<'a, str>>; NAMES.len()] = Default::default();
        for (name, value) in query.pairs() {
            let Some(at) = NAMES.iter().position(|known| name.eq_ignore_ascii_case(known)) else { continue };
            if name != NAMES[at] || values[at].replace(value).is_some() {
                return Err(BadPresigned::Repeated(NAMES[at]));
            }
        }
        let [algorithm, credential, date, expires, signed_headers, token, signature, region_set] = values;
        let algorithm = algorithm.ok_or(BadPresigned::Missing(ALGORITHM))?;
        let algorithm = Algorithm::named(&algorithm).ok_or(BadPresigned::Algorithm)?;
        if algorithm == Algorithm::Ecdsa && region_set.is_none() {
            return Err(BadPresigned::Missing(REGION_SET));
        }
        let date = date.ok_or(BadPresigned::Missing(DATE))?;
        let presigned = Self {
            algorithm,
            credential: credential.ok_or(BadPresigned::Missing(CREDENTIAL))?,
            signed_headers: signed_headers.ok_or(BadPresigned::Missing(SIGNED_HEADERS))?,
            signature: signature.ok_or(BadPresigned::Missing(SIGNATURE))?,
            lifetime: Lifetime {
                from: AmzDate::parse(date.as_bytes()).ok_or(BadPresigned::Date)?,
                expires: expires.map(|text| seconds(&text).ok_or(BadPresigned::Expires)).transpose()?,
            },
            has_token: token.is_some(),
        };
        Credential::parse(&presigned.credential, algorithm)?;
        SignedHeaders::parse(&presigned.signed_headers)?;
        parse_signature(&presigned.signature, algorithm)?;
        Ok(presigned)
    }

    /// What the signature says of itself, as if it stood in the header.
    pub fn authorization(&self) -> Authorization<'_> {
        const CHECKED: &str = "checked when it was read";
        Authorization {
            credential: Credential::parse(&self.credential, self.algorithm).expect(CHECKED),
            signed_headers: SignedHeaders::parse(&self.signed_headers).expect(CHECKED),
            signature: &self.signature,
        }
    }

    /// From when and for how long it is good.
    pub const fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// Whether it came with a session token.
    pub(super) const fn has_token(&self) -> bool {
        self.has_token
    }
}

impl Lifetime {
    /// How much is left at `now`, in whole seconds: never more than was asked for. `None`: it is over.
    pub(super) fn left(&self, now: Timestamp) -> Option<u32> {
        let asked = self.asked();
        let left = asked.saturating_sub(now.duration_since(self.from.timestamp()));
        u32::try_from(left.min(asked).as_secs()).ok().filter(|seconds| *seconds > 0)
    }

    /// How long it is good from its date on. Where nothing is said it is taken like a request: AWS's quarter of an hour.
    pub(super) fn asked(&self) -> SignedDuration {
        self.expires.map_or(MAX_SKEW, |seconds| SignedDuration::from_secs(seconds.into()))
    }
}

/// Checks a signature in the query. It is good for as long as its program asked, and not before its time.
pub fn check(
    parts: &Parts,
    presigned: &Presigned<'_>,
    key: Arc<SigningKey>,
    now: Timestamp,
) -> Result<Check, VerifyError> {
    let (claim, lifetime) = (presigned.authorization(), presigned.lifetime());
    let age = now.duration_since(lifetime.from.timestamp());
    if age < -MAX_SKEW {
        return Err(VerifyError::Stale(age));
    }
    let left = lifetime.left(now).ok_or_else(|| VerifyError::Expired(age - lifetime.asked()))?;
    let left = Left(lifetime.expires.map(|_| left));
    let rule = PathRule::of(claim.credential.scope.service);
    if rule == PathRule::Object && lifetime.expires.is_none() {
        return Err(VerifyError::Endless);
    }
    let query = parts.uri.query().unwrap_or_default();
    let payload = match (declared(query, &parts.headers)?, rule) {
        (Some(declared), _) => Some(declared),
        // S3 cannot know the body of a URL that is signed ahead of it; the others know that there is none.
        (None, PathRule::Object) => Some(Payload::Unsigned),
        (None, PathRule::Normal) => None,
    };
    let signed = without(query, &[SIGNATURE]);
    // Some services want the token added after signing; their clients know which, and AWS documents only one.
    let without_token = without(query, &[SIGNATURE, TOKEN]);
    let queries = [signed.as_str(), without_token.as_str()];
    let queries = if presigned.has_token() { &queries[..] } else { &queries[..1] };
    let form = Form::in_query(key.algorithm(), left);
    compare(parts, (form, &claim), (key, lifetime.from), (payload, queries))
}

/// `1` to `604800`, without signs, blanks or leading zeros.
fn seconds(text: &str) -> Option<u32> {
    let plain = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|seconds| plain && *seconds <= MAX_EXPIRES)
}

/// Whether a service wants the session token added after signing (AWS, "Create a signed AWS API request", on the session
/// token): the device gateway of AWS IoT, whose WebSockets are signed so.
pub(super) fn token_follows_signature(service: &str) -> bool {
    service == "iotdevicegateway"
}

/// What the query or a header declares of the body: signers move headers of AWS's into the query.
pub(super) fn declared(query: &str, headers: &HeaderMap) -> Result<Option<Payload>, PayloadError> {
    let in_header = Payload::declared(headers)?;
    let mut values = Query::parse(Some(query))
        .pairs()
        .filter_map(|(name, value)| name.eq_ignore_ascii_case("x-amz-content-sha256").then_some(value));
    let Some(value) = values.next() else { return Ok(in_header) };
    let in_query = Payload::parse(value.as_bytes())?;
    if values.next().is_some() || in_header.is_some_and(|header| header != in_query) {
        return Err(PayloadError::Repeated);
    }
    Ok(Some(in_query))
}

/// The wire query without some parameters, the rest byte for byte and in order.
pub(super) fn without(query: &str, names: &[&str]) -> String {
    let mut left = String::with_capacity(query.len());
    for pair in query.split('&') {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        if names.iter().any(|left_out| decode(name) == *left_out) {
            continue;
        }
        if !left.is_empty() {
            left.push('&');
        }
        left.push_str(pair);
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNATURE: &str = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";

    fn query(change: impl Fn(&mut Vec<(&str, String)>)) -> String {
        let mut pairs = vec![
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request".to_owned()),
            ("X-Amz-Date", "20130524T000000Z".to_owned()),
            ("X-Amz-Expires", "86400".to_owned()),
            ("X-Amz-SignedHeaders", "host%3Brange".to_owned()),
            ("X-Amz-Signature", SIGNATURE.to_owned()),
        ];
        change(&mut pairs);
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }

    fn refused(change: impl Fn(&mut Vec<(&str, String)>)) -> BadPresigned {
        Presigned::read(Query::parse(Some(&query(change)))).unwrap_err()
    }

    #[test]
    fn the_parameters_are_decoded() {
        let text = query(|_| ());
        let presigned = Presigned::read(Query::parse(Some(&text))).unwrap();
        let claim = presigned.authorization();
        assert_eq!(claim.credential.to_string(), "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request");
        assert_eq!((claim.signed_headers.as_str(), claim.signature), ("host;range", SIGNATURE));
    }

    #[test]
    fn what_is_left_is_never_more_than_was_asked_for() {
        let text = query(|_| ());
        let lifetime = Presigned::read(Query::parse(Some(&text))).unwrap().lifetime();
        let left = |now: &str| lifetime.left(now.parse().unwrap());
        assert_eq!(left("2013-05-24T00:00:00Z"), Some(86400));
        assert_eq!(left("2013-05-23T23:50:00Z"), Some(86400));
        assert_eq!(left("2013-05-24T23:59:58.5Z"), Some(1));
        assert_eq!(left("2013-05-25T00:00:00Z"), None);
        assert_eq!(left("2014-05-25T00:00:00Z"), None);
    }

    #[test]
    fn a_url_without_expiry_is_good_as_long_as_a_request() {
        let text = query(|pairs| drop(pairs.remove(3)));
        let lifetime = Presigned::read(Query::parse(Some(&text))).unwrap().lifetime();
        assert_eq!(lifetime.left("2013-05-24T00:14:00Z".parse().unwrap()), Some(60));
        assert_eq!(lifetime.left("2013-05-24T00:15:00Z".parse().unwrap()), None);
    }

    #[test]
    fn what_s3_would_refuse_is_refused() {
        for missing in [0, 1, 2, 4, 5] {
            assert!(matches!(refused(|pairs| drop(pairs.remove(missing))), BadPresigned::Missing(_)), "{missing}");
        }
        for expires in ["0", "-1", "+1", "604801", "01", "1.5", "", "9999999999999"] {
            assert_eq!(refused(|pairs| pairs[3].1 = expires.to_owned()), BadPresigned::Expires, "{expires}");
        }
        assert_eq!(refused(|pairs| pairs[0].1 = "AWS4-HMAC-SHA1".to_owned()), BadPresigned::Algorithm);
        assert_eq!(refused(|pairs| pairs[2].1 = "20130524".to_owned()), BadPresigned::Date);
        for (at, value, why) in [
            (1, "AKIA%2F20130524", BadAuthorization::Credential),
            (4, "range", BadAuthorization::SignedHeaders),
            (5, "00", BadAuthorization::Signature),
        ] {
            assert_eq!(refused(|pairs| pairs[at].1 = value.to_owned()), BadPresigned::Part(why));
        }
    }

    #[test]
    fn what_two_readers_could_see_differently_is_refused() {
        for name in ["X-Amz-Date", "x-amz-date", "X%2DAmz-Date"] {
            let twice = refused(|pairs| pairs.push((name, "20130524T000000Z".to_owned())));
            assert_eq!(twice, BadPresigned::Repeated("X-Amz-Date"), "{name}");
        }
        assert_eq!(refused(|pairs| pairs[5].0 = "x-amz-signature"), BadPresigned::Repeated("X-Amz-Signature"));
    }
}
