//! The signature that the client made with its placeholder: proves which local program is calling.

use std::sync::Arc;

use http::Method;
use http::header::{CONTENT_LENGTH, DATE};
use http::request::Parts;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};

use super::algorithm::Subject;
use super::authorization::{Authorization, Scope};
use super::canonical::{Canonical, Line};
use super::chain::Chain;
use super::date::AmzDate;
use super::form::Form;
use super::host::HostError;
use super::key::{AccessKey, SigningKey, SigningKeys};
use super::payload::{Payload, PayloadError};
use super::post::BadPolicy;
use super::signature::Signature;
use super::strip::{AMZ_DATE, REGION_SET, SECURITY_TOKEN};
use super::uri::MalformedEscape;

/// How far the client's clock may be from ours, either way: what AWS itself allows.
pub const MAX_SKEW: SignedDuration = SignedDuration::from_mins(15);

/// Why a signature proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Neither a readable `X-Amz-Date` nor a readable `Date`, or more than one.
    #[error("the request has no single readable X-Amz-Date or Date header")]
    NoDate,
    /// Signed too long ago, or in the future.
    #[error("the request was signed {:#} {}; is this machine's clock right?", .0.abs(), if .0.is_negative() { "in the future" } else { "ago" })]
    Stale(SignedDuration),
    /// A presigned URL whose time is over.
    #[error("the presigned URL expired {0:#} ago")]
    Expired(SignedDuration),
    /// A presigned URL for S3 that says no end.
    #[error("the presigned query lacks X-Amz-Expires")]
    Endless,
    /// The key is for another day, region or service than the claim.
    #[error("the credential scope is for another day than the request's date, or not the one expected")]
    Scope,
    /// A header that must be covered is not.
    #[error("the signature does not cover `{0}`")]
    Uncovered(String),
    /// A header is said to be covered and is not there.
    #[error("the signature covers a `{0}` header that the request does not have")]
    Absent(String),
    /// The body's declaration cannot be honoured.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The request names no host, or two.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The URL can be read in two ways.
    #[error(transparent)]
    Escape(#[from] MalformedEscape),
    /// The policy of a form.
    #[error(transparent)]
    Policy(#[from] BadPolicy),
    /// Made with another secret, or for another request.
    #[error("the signature does not match the request; does the program use the placeholder keys it was given?")]
    Mismatch,
}

/// Where a verification stands after the head.
#[derive(Debug)]
pub enum Check {
    /// The client declares its payload: done.
    Verified(Verified),
    /// It does not: the body's hash is part of what it signed.
    Pending(Pending),
}

impl Check {
    /// The same, where it is done with the head ([`Verified::through_midnight`]).
    pub(super) fn through_midnight(self, keys: &SigningKeys, of: (AccessKey<'_>, Scope<'_>)) -> Self {
        match self {
            Self::Verified(verified) => Self::Verified(verified.through_midnight(keys, of)),
            pending @ Self::Pending(_) => pending,
        }
    }
}

/// A verification that waits for the body's hash.
pub struct Pending {
    form: Form,
    claimed: Signature,
    key: Arc<SigningKey>,
    date: AmzDate,
    readings: Vec<Canonical>,
}

/// Proof that the head was signed with the placeholder's secret, recently, as it was received.
#[derive(Debug)]
pub struct Verified {
    form: Form,
    payload: Payload,
    chain: Option<Chain>,
}

impl Verified {
    /// What proves all that a request says, so that nothing else may come: ours covers the hash of no bytes.
    pub(super) fn of_nothing_else(form: Form) -> Self {
        Self { form, payload: Payload::of(b""), chain: None }
    }

    /// Where the signature stood.
    pub const fn form(&self) -> Form {
        self.form
    }

    /// What the signature says of the body.
    pub const fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The same, with a key that goes on past midnight (UTC) where the body is a stream of events. `keys` and
    /// `access_key` are those that it was verified with.
    #[must_use]
    pub fn through_midnight(self, keys: &SigningKeys, (access_key, scope): (AccessKey<'_>, Scope<'_>)) -> Self {
        if !self.payload.is_events() {
            return self;
        }
        let key = |date: &AmzDate| keys.key(access_key, Scope { date: date.day(), ..scope });
        Self { chain: self.chain.map(|chain| chain.through_midnight(key)), ..self }
    }

    /// For a body that is signed piece by piece: the chain that begins at the client's signature. Version 2 has none.
    pub fn into_chain(self) -> Option<Chain> {
        self.chain
    }
}

/// Checks what `claim` says about the head with `key`, which was derived from the placeholder's secret for the claimed
/// scope. Fails on the first thing that is wrong; the signature itself is compared in constant time.
pub fn check(
    parts: &Parts,
    claim: &Authorization<'_>,
    key: Arc<SigningKey>,
    now: Timestamp,
) -> Result<Check, VerifyError> {
    let date = date(parts)?;
    let age = now.duration_since(date.timestamp());
    if age.abs() > MAX_SKEW {
        return Err(VerifyError::Stale(age));
    }
    let (form, query) = (Form::in_header(key.algorithm()), parts.uri.query().unwrap_or_default());
    let payload = Payload::declared(&parts.headers)?;
    compare(parts, (form, claim), (key, date), (payload, &[query]))
}

/// What a form proves that says nothing of the body, once its signature was found right: the body is then not covered by
/// ours either.
pub(super) fn uncovered(form: Form, declared: Option<Payload>) -> Result<Check, VerifyError> {
    match declared.unwrap_or(Payload::Unsigned) {
        Payload::SignedChunks(_) | Payload::SignedChunksTrailer(_) | Payload::Events | Payload::UndeclaredEvents => {
            Err(PayloadError::Malformed.into())
        }
        payload @ (Payload::Hash(_) | Payload::Unsigned | Payload::UnsignedTrailer) => {
            Ok(Check::Verified(Verified { form, payload, chain: None }))
        }
    }
}

/// Holds what a request claims against what it is; its query is read in each of the ways given.
pub(super) fn compare(
    parts: &Parts,
    (form, claim): (Form, &Authorization<'_>),
    (key, date): (Arc<SigningKey>, AmzDate),
    (payload, queries): (Option<Payload>, &[&str]),
) -> Result<Check, VerifyError> {
    if !key.is_for(claim.credential.scope) || claim.credential.scope.date != date.day() {
        return Err(VerifyError::Scope);
    }
    // In SigV4A the regions stand in a header, in the place of the scope's.
    if form == Form::Asymmetric && !claim.signed_headers.contains(REGION_SET.as_str()) {
        return Err(VerifyError::Uncovered(REGION_SET.to_string()));
    }
    covers(parts, claim)?;
    if payload.and_then(|payload| payload.algorithm()).is_some_and(|pieces| pieces != key.algorithm()) {
        return Err(PayloadError::OtherAlgorithm.into());
    }
    let claimed = Signature::parse(claim.signature.as_bytes(), key.algorithm()).ok_or(VerifyError::Mismatch)?;
    let line = Line { method: form.method(&parts.method), ..Line::new(parts, claim.credential.scope.service) };
    let mut readings = Vec::new();
    for query in queries {
        readings.append(&mut super::readings::readings(parts, claim, Line { query, ..line })?);
    }
    let pending = Pending { form, claimed, key, date, readings };
    // What follows a `CONNECT` is a conversation, and no body (RFC 8441 §5): its handshake was signed without one.
    let payload = payload.or_else(|| (parts.method == Method::CONNECT).then(|| Payload::of(b"")));
    match payload {
        Some(payload) => pending.finish(&payload).map(Check::Verified),
        // Who hashes a body knows how long it is.
        None if !parts.headers.contains_key(CONTENT_LENGTH) => {
            Ok(pending.matched(&Payload::UndeclaredEvents).map_or(Check::Pending(pending), Check::Verified))
        }
        None => Ok(Check::Pending(pending)),
    }
}

impl Pending {
    /// Finishes with the body's hash ([`Payload::of`]).
    pub fn finish(self, payload: &Payload) -> Result<Verified, VerifyError> {
        self.matched(payload).ok_or(VerifyError::Mismatch)
    }

    fn matched(&self, payload: &Payload) -> Option<Verified> {
        let Self { form, claimed, key, date, readings } = self;
        let mut hashes = readings.iter().map(|canonical| canonical.hash(payload.as_str()));
        let is_right = hashes.any(|hash| key.verifies(Subject::Request, date, &[hash.as_str()], claimed));
        let chain = Chain::new(key.clone(), *date, *claimed);
        is_right.then_some(Verified { form: *form, payload: *payload, chain: Some(chain) })
    }
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pending({:?})", self.key)
    }
}

/// The date that the string to sign was made with: `X-Amz-Date`, or `Date` where there is none.
pub(super) fn date(parts: &Parts) -> Result<AmzDate, VerifyError> {
    let name = if parts.headers.contains_key(AMZ_DATE) { AMZ_DATE } else { DATE };
    let mut values = parts.headers.get_all(&name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(VerifyError::NoDate) };
    if let Some(date) = AmzDate::parse(value.as_bytes()) {
        return Ok(date);
    }
    let parsed = DateTimeParser::new().parse_timestamp(value.as_bytes());
    parsed.map(AmzDate::new).map_err(|_| VerifyError::NoDate)
}

/// AWS's own headers must be covered, as AWS demands it; otherwise somebody between could add an order of their own. (The
/// host is: nothing else parses.) Only the token may be left out: some services want it added after signing.
fn covers(parts: &Parts, claim: &Authorization<'_>) -> Result<(), VerifyError> {
    let own = parts.headers.keys().map(|name| name.as_str()).filter(|name| name.starts_with("x-amz-"));
    let mut uncovered = own.filter(|name| *name != SECURITY_TOKEN && !claim.signed_headers.contains(name));
    uncovered.next().map_or(Ok(()), |name| Err(VerifyError::Uncovered(name.to_owned())))
}

#[cfg(test)]
mod tests {
    use access::Secret;
    use http::Request;

    use super::*;
    use crate::aws::authorization;
    use crate::aws::digest::HexDigest;
    use crate::aws::readings::readings;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    /// "GET Object" of the S3 API reference, "Authenticating requests: using the Authorization header".
    const GET: &str = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
        SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
        Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";

    fn get() -> Parts {
        let request = Request::get("/test.txt")
            .header("host", "examplebucket.s3.amazonaws.com")
            .header("range", "bytes=0-9")
            .header("x-amz-content-sha256", HexDigest::EMPTY.as_str())
            .header("x-amz-date", "20130524T000000Z");
        request.body(()).unwrap().into_parts().0
    }

    fn check_at(parts: &Parts, header: &str, now: &str) -> Result<Check, VerifyError> {
        let claim = authorization::parse(header).unwrap();
        let key = derive(&claim, claim.credential.scope);
        check(parts, &claim, key, now.parse().unwrap())
    }

    fn derive(claim: &Authorization<'_>, scope: Scope<'_>) -> Arc<SigningKey> {
        let access_key = AccessKey { id: claim.credential.access_key_id, secret: &Secret::new(SECRET.to_owned()) };
        Arc::new(SigningKey::derive(access_key, scope))
    }

    fn refusal(parts: &Parts, header: &str) -> VerifyError {
        check_at(parts, header, "2013-05-24T00:00:00Z").unwrap_err()
    }

    #[test]
    fn the_documented_signature_verifies_a_quarter_of_an_hour_either_way() {
        for now in ["2013-05-23T23:45:00Z", "2013-05-24T00:00:00Z", "2013-05-24T00:15:00Z"] {
            assert!(matches!(check_at(&get(), GET, now), Ok(Check::Verified(_))), "{now}");
        }
        for now in ["2013-05-23T23:44:59Z", "2013-05-24T00:15:01Z"] {
            assert!(matches!(check_at(&get(), GET, now), Err(VerifyError::Stale(_))), "{now}");
        }
    }

    #[test]
    fn a_stale_signature_is_told_its_age() {
        let error = check_at(&get(), GET, "2013-05-24T01:00:00Z").unwrap_err();
        assert_eq!(error.to_string(), "the request was signed 1h ago; is this machine's clock right?");
    }

    #[test]
    fn any_change_of_what_is_covered_is_noticed() {
        let changes: [fn(&mut Parts); 5] = [
            |parts| parts.method = Method::PUT,
            |parts| parts.uri = "/test.txu".parse().unwrap(),
            |parts| parts.uri = "/test.txt?acl".parse().unwrap(),
            |parts| drop(parts.headers.insert("range", "bytes=0-8".parse().unwrap())),
            |parts| drop(parts.headers.insert("x-amz-content-sha256", "UNSIGNED-PAYLOAD".parse().unwrap())),
        ];
        for change in changes {
            let mut parts = get();
            change(&mut parts);
            assert_eq!(refusal(&parts, GET), VerifyError::Mismatch);
        }
        assert_eq!(refusal(&get(), &GET.replace("f0e8bd", "f0e8be")), VerifyError::Mismatch);
        assert_eq!(refusal(&get(), &GET.replace("us-east-1", "us-east-2")), VerifyError::Mismatch);
    }

    #[test]
    fn another_day_in_the_scope_is_refused() {
        assert_eq!(refusal(&get(), &GET.replace("20130524/", "20130525/")), VerifyError::Scope);
    }

    #[test]
    fn a_key_for_another_scope_is_refused() {
        let claim = authorization::parse(GET).unwrap();
        for region in [Some("us-east-2"), None] {
            let other = Scope { region, ..claim.credential.scope };
            let key = derive(&claim, other);
            let answer = check(&get(), &claim, key, "2013-05-24T00:00:00Z".parse().unwrap());
            assert_eq!(answer.unwrap_err(), VerifyError::Scope);
        }
    }

    #[test]
    fn orders_that_the_signature_does_not_cover_are_refused() {
        let mut parts = get();
        parts.headers.insert("x-amz-copy-source", "/other/key".parse().unwrap());
        assert_eq!(refusal(&parts, GET), VerifyError::Uncovered("x-amz-copy-source".to_owned()));
    }

    /// What a key pair signs is no fixed text, so these are signed here; AWS's own signer is met in the differential test.
    fn sigv4a(headers: &[(&'static str, &'static str)], names: &str) -> (Parts, String) {
        let header = |signature: &str| {
            let credential = "AKIAIOSFODNN7EXAMPLE/20130524/s3/aws4_request";
            format!("AWS4-ECDSA-P256-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}")
        };
        let mut parts = get();
        for (name, value) in headers {
            parts.headers.insert(*name, value.parse().unwrap());
        }
        let unsigned = header(&"0".repeat(144));
        let claim = authorization::parse(&unsigned).unwrap();
        let canonical = readings(&parts, &claim, Line::new(&parts, "s3")).unwrap().remove(0);
        let payload = parts.headers["x-amz-content-sha256"].to_str().unwrap();
        let date = AmzDate::parse(b"20130524T000000Z").unwrap();
        let signature = derive(&claim, claim.credential.scope).sign_request(&date, &canonical.hash(payload));
        (parts, header(signature.as_str()))
    }

    const SIGV4A: &str = "host;range;x-amz-content-sha256;x-amz-date;x-amz-region-set";

    #[test]
    fn a_signature_for_a_set_of_regions_verifies_with_the_set_it_was_made_for() {
        let (mut parts, header) = sigv4a(&[("x-amz-region-set", "eu-*")], SIGV4A);
        let Ok(Check::Verified(verified)) = check_at(&parts, &header, "2013-05-24T00:00:00Z") else { panic!("good") };
        assert_eq!(verified.form(), Form::Asymmetric);
        parts.headers.insert("x-amz-region-set", "*".parse().unwrap());
        assert_eq!(refusal(&parts, &header), VerifyError::Mismatch);
        parts.headers.remove("x-amz-region-set");
        assert_eq!(refusal(&parts, &header), VerifyError::Absent("x-amz-region-set".to_owned()));
    }

    #[test]
    fn a_signature_for_no_regions_is_refused() {
        let (parts, header) = sigv4a(&[], "host;range;x-amz-content-sha256;x-amz-date");
        assert_eq!(refusal(&parts, &header), VerifyError::Uncovered("x-amz-region-set".to_owned()));
    }

    #[test]
    fn pieces_of_another_algorithm_than_the_heads_are_refused() {
        let hmac = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
        let (parts, header) = sigv4a(&[("x-amz-region-set", "*"), ("x-amz-content-sha256", hmac)], SIGV4A);
        assert_eq!(refusal(&parts, &header), VerifyError::Payload(PayloadError::OtherAlgorithm));
        let mut parts = get();
        let ecdsa = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER";
        parts.headers.insert("x-amz-content-sha256", ecdsa.parse().unwrap());
        assert_eq!(refusal(&parts, GET), VerifyError::Payload(PayloadError::OtherAlgorithm));
    }

    #[test]
    fn a_covered_header_that_is_gone_is_named() {
        let mut parts = get();
        parts.headers.remove("range");
        assert_eq!(refusal(&parts, GET), VerifyError::Absent("range".to_owned()));
    }

    #[test]
    fn a_request_without_one_readable_date_is_refused() {
        let mut parts = get();
        parts.headers.insert("x-amz-date", "yesterday".parse().unwrap());
        assert_eq!(refusal(&parts, GET), VerifyError::NoDate);
        parts.headers.remove("x-amz-date");
        assert_eq!(refusal(&parts, GET), VerifyError::NoDate);
    }

    /// "PUT Object" of the same page signs `Date`.
    #[test]
    fn a_date_header_serves_where_there_is_no_amz_date() {
        let header = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
            SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, \
            Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";
        let hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
        let request = Request::put("/test%24file.text")
            .header("host", "examplebucket.s3.amazonaws.com")
            .header("date", "Fri, 24 May 2013 00:00:00 GMT")
            .header("x-amz-content-sha256", hash)
            .header("x-amz-date", "20130524T000000Z")
            .header("x-amz-storage-class", "REDUCED_REDUNDANCY");
        let mut parts = request.body(()).unwrap().into_parts().0;
        assert!(matches!(check_at(&parts, header, "2013-05-24T00:00:00Z"), Ok(Check::Verified(_))));
        parts.uri = "/test$file.text".parse().unwrap();
        assert!(
            matches!(check_at(&parts, header, "2013-05-24T00:00:00Z"), Ok(Check::Verified(_))),
            "spelled otherwise"
        );
        parts.headers.remove("x-amz-date");
        assert_eq!(refusal(&parts, header), VerifyError::Absent("x-amz-date".to_owned()));
        assert_eq!(date(&parts).map(|date| date.as_str().to_owned()), Ok("20130524T000000Z".to_owned()));
    }

    #[test]
    fn a_host_signed_as_it_stands_verifies_too() {
        let mut parts = get();
        parts.headers.insert("host", "ExampleBucket.s3.amazonaws.com:443".parse().unwrap());
        assert!(
            check_at(&parts, GET, "2013-05-24T00:00:00Z").is_ok(),
            "signed lower case and without the default port"
        );
        let claim = authorization::parse(GET).unwrap();
        let number = |parts: &Parts| readings(parts, &claim, Line::new(parts, "s3")).map(|readings| readings.len());
        assert_eq!(number(&parts), Ok(2));
        parts.uri = "/a$b?c+d".parse().unwrap();
        assert_eq!(number(&parts), Ok(8));
        assert_eq!(number(&get()), Ok(1));
    }
}
